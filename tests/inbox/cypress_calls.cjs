// Each command of cypress-mailpit, against the inbox: node cypress_calls.cjs PACKAGE URL TOKEN
// Cypress itself is no package of npm's: its binary comes from elsewhere. What its commands use of it is here.
const assert = require("node:assert/strict");
const [name, url, token] = process.argv.slice(2);
const settings = { MAILPIT_URL: url.replace(/\/$/, ""), MAILPIT_USERNAME: "any", MAILPIT_PASSWORD: token };

class Chain {
  constructor(promise) { this.promise = Promise.resolve(promise); }
  then(done, failed) { return new Chain(this.promise.then(done, failed)); }
  should(how, wanted) {
    const checks = { eq: value => assert.equal(value, wanted), contain: value => assert.ok(value.includes(wanted), `${value}`), length: value => assert.equal(value.length, wanted) };
    return this.then(value => { checks[how](value); return value; });
  }
}
async function request({ method = "GET", url, qs, body, auth }) {
  const address = new URL(url), headers = { Authorization: "Basic " + btoa(`${auth.user}:${auth.pass}`) };
  for (const [key, value] of Object.entries(qs ?? {})) address.searchParams.set(key, value);
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(address, { method, headers, body: body && JSON.stringify(body) });
  const text = await answer.text(), isJson = answer.headers.get("content-type").startsWith("application/json");
  if (!answer.ok) throw new Error(`cy.request() failed: ${answer.status}: ${answer.statusText}: ${text}`);
  return { status: answer.status, body: isJson ? JSON.parse(text) : text };
}
globalThis.cy = {
  env: names => new Chain(Object.fromEntries(names.map(name => [name, settings[name]]))),
  request: options => new Chain(request(options)),
  wrap: value => new Chain(value),
  wait: time => new Chain(new Promise(done => setTimeout(done, time))),
};
globalThis.Cypress = {
  expose: key => settings[key],
  config: () => 4000,
  Commands: {
    add(command, options, run) {
      if (options?.prevSubject) Chain.prototype[command] = function (...given) { return this.then(subject => run(subject, ...given)); };
      else cy[command] = (...given) => new Chain(run(...given));
    },
  },
};
// Its files name each other without ".js", for the bundler of Cypress.
const hooks = `export const resolve = (name, context, next) => next(name, context).catch(() => next(name + ".js", context));
  export const load = (url, context, next) => next(url, url.includes("cypress-mailpit") ? { ...context, format: "module" } : context);`;
require("node:module").register("data:text/javascript," + encodeURIComponent(hooks));

(async () => {
  await import(name);
  await cy.mailpitDeleteAllEmails();
  const { ID } = await cy.mailpitSendMail({
    to: [{ Email: "to@example.com", Name: "To" }, { Email: "text@example.com", Name: "Text" }], subject: "Searchable Subject", textBody: "Test", htmlBody: "<p>Test</p>",
    cc: [{ Email: "custom-cc@example.com", Name: "Custom CC" }], bcc: ["custom-bcc@example.com"], tags: ["tag1", "tag2"],
    attachments: [{ Content: "SGVsbG8gV29ybGQ=", FileName: "hello.txt" }, { Content: "SGVsbG8gV29ybGQ=", Filename: "hello2.txt" }],
  });
  assert.match(ID, /\w+/);
  const mail = await cy.mailpitGetMail();
  assert.deepEqual([mail.ID, mail.Cc[0].Address, mail.Bcc[0].Address, mail.ReplyTo[0].Address, mail.Tags],
    [ID, "custom-cc@example.com", "custom-bcc@example.com", "replyto@example.com", ["tag1", "tag2"]]);
  await cy.mailpitGetMail(ID).mailpitGetSubject().should("eq", "Searchable Subject");
  await cy.mailpitGetMail().mailpitGetFromAddress().should("eq", "from@example.com");
  await cy.mailpitGetMail().mailpitGetRecipientAddress().should("contain", "to@example.com");
  await cy.mailpitGetMail().mailpitGetMailHTMlBody().should("contain", "<p>Test</p>");
  await cy.mailpitGetMail().mailpitGetMailTextBody().should("eq", "Test");
  await cy.mailpitGetMail().mailpitGetAttachments().should("length", 2).should("contain", "hello.txt").should("contain", "hello2.txt");
  assert.equal(typeof (await cy.mailpitGetMail().mailpitGetMailSpamAssassinSummary()).Score, "number");

  for (let number = 0; number < 5; number++) await cy.mailpitSendMail({ subject: `Paginated ${number}` });
  let page = await cy.mailpitGetAllMails(4, 2);
  assert.deepEqual([page.messages.length, page.total, page.start, page.count, page.messages_count], [2, 6, 4, 2, 6]);
  assert.equal((await cy.mailpitSearchEmails("Test")).messages_count, 1);
  assert.equal((await cy.mailpitGetEmailsBySubject("Paginated")).messages_count, 5);
  assert.equal((await cy.mailpitGetEmailsByTo("to@example.com")).messages_count, 1);
  await cy.mailpitHasEmailsBySearch("subject:Searchable Subject");
  await cy.mailpitNotHasEmailsBySearch("subject:Nonexistent");
  await cy.mailpitHasEmailsBySubject("Searchable Subject");
  await cy.mailpitNotHasEmailsBySubject("Not");
  await cy.mailpitHasEmailsByTo("text@example.com");
  await cy.mailpitNotHasEmailsByTo("invalid@example.com");
  await assert.rejects(async () => cy.mailpitHasEmailsByTo("invalid@example.com", 0, 50, { timeout: 50, interval: 20 }), /Timed out/);

  await cy.mailpitGetMail(ID).mailpitSetStatusAsRead().should("eq", "ok");
  assert.equal((await cy.mailpitSearchEmails("Test")).messages[0].Read, true);
  await cy.wrap((await cy.mailpitGetAllMails()).messages).mailpitSetStatusAsUnRead().should("eq", "ok");
  assert.equal((await cy.mailpitGetAllMails()).unread, 6);
  await cy.mailpitSetAllEmailStatusAsRead().should("eq", "ok");
  assert.equal((await cy.mailpitGetAllMails()).unread, 0);
  await cy.mailpitSetAllEmailStatusAsUnRead().should("eq", "ok");

  await cy.mailpitDeleteEmailsBySearch("subject:Searchable Subject");
  assert.equal((await cy.mailpitGetAllMails()).total, 5);
  await assert.rejects(async () => cy.mailpitDeleteEmailsBySearch(""), /400: Bad Request.*no search query/s);
  await assert.rejects(async () => cy.mailpitSendMail({ to: [{ Email: "", Name: "To" }] }), /400: Bad Request.*invalid To address/s);
  await cy.mailpitDeleteAllEmails();
  assert.equal((await cy.mailpitGetAllMails()).total, 0);
  console.log("all commands answered");
})();
