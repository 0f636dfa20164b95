// Asks the search of the site, in the worker that the site itself runs: node search.js SITE QUERY…
// Prints a line of JSON for each query: the pages that were found, the best first.
const fs = require("fs");
const path = require("path");

const [site, ...queries] = process.argv.slice(2);
const workers = path.join(site, "assets/javascripts/workers");
const worker = fs.readdirSync(workers).find((name) => /^search\..*\.js$/.test(name));
const index = JSON.parse(fs.readFileSync(path.join(site, "search/search_index.json"), "utf8"));

let hear, answer;
globalThis.self = globalThis;
globalThis.addEventListener = (_, listener) => (hear = listener);
globalThis.postMessage = (message) => answer(message);
(0, eval)(fs.readFileSync(path.join(workers, worker), "utf8"));

const ask = (message) =>
  new Promise((resolve) => {
    answer = resolve;
    hear({ data: message });
  });

(async () => {
  await ask({ type: 0, data: { ...index, options: { suggest: false } } });
  for (const query of queries) {
    const found = await ask({ type: 2, data: query });
    console.log(JSON.stringify(found.data.items.map((sections) => sections[0].location.replace(/#.*/, ""))));
  }
})();
