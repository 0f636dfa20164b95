// A suite as people write them for Playwright and Mailpit: somebody signs up, and follows the link in the mail.
import { createServer } from "node:http";
import { connect } from "node:net";
import { expect, test as base } from "@playwright/test";
import { MailpitClient } from "mailpit-api";

const { MAILPIT_URL, MAILPIT_TOKEN, SMTP_PORT } = process.env;

/** The program that is tested sends by SMTP. */
async function send(to, html) {
  const socket = connect(Number(SMTP_PORT), "127.0.0.1").setEncoding("utf8");
  const heard = async () => { for await (const text of socket.iterator({ destroyOnReturn: false })) if (/^\d{3} [^\n]*\n$/m.test(text)) return text; };
  await heard();
  const message = `From: app@example.com\r\nTo: ${to}\r\nSubject: Confirm your address\r\nContent-Type: text/html\r\n\r\n${html}\r\n.`;
  for (const line of ["EHLO app", "MAIL FROM:<app@example.com>", `RCPT TO:<${to}>`, "DATA", message, "QUIT"]) { socket.write(line + "\r\n"); await heard(); }
  socket.destroy();
}

const test = base.extend({
  mailpit: async ({}, use) => { // eslint-disable-line no-empty-pattern
    const mailpit = new MailpitClient(MAILPIT_URL, { auth: { username: "any", password: MAILPIT_TOKEN } });
    await mailpit.deleteMessages();
    await use(mailpit);
  },
  app: async ({}, use) => { // eslint-disable-line no-empty-pattern
    const server = createServer(async (request, answer) => {
      const address = `http://127.0.0.1:${server.address().port}`, to = new URL(request.url, address).searchParams.get("to");
      if (to) await send(to, `<p>Your code is <b>482913</b>. <a href="${address}/confirm">Confirm</a></p>`);
      answer.setHeader("Content-Type", "text/html").end(request.url === "/confirm" ? "<h1>Confirmed</h1>" : "<form><input name=to aria-label=Address><button>Sign up</button></form>");
    }).listen(0, "127.0.0.1");
    await new Promise(done => server.once("listening", done));
    await use(`http://127.0.0.1:${server.address().port}`);
    server.closeAllConnections();
    server.close();
  },
});

test("somebody signs up and confirms", async ({ page, app, mailpit, request }) => {
  await page.goto(app);
  await page.getByLabel("Address").fill("bob@example.org");
  await page.getByRole("button").click();
  const found = await mailpit.waitForMessage({ query: "to:bob@example.org subject:confirm" });
  expect(found.HTML).toContain("482913");

  await page.goto(`${MAILPIT_URL}view/${found.ID}.html`); // the mail itself, and a click in it
  await expect(page.getByText("Your code is")).toBeVisible();
  const opened = page.waitForEvent("popup");
  await page.getByRole("link", { name: "Confirm" }).click();
  await expect((await opened).getByRole("heading")).toHaveText("Confirmed");

  await page.setContent(await mailpit.renderMessageHTML(found.ID)); // or the HTML in a page of the suite's own
  await expect(page.locator("b")).toHaveText("482913");

  const auth = { Authorization: "Basic " + btoa(`any:${MAILPIT_TOKEN}`) }; // or by Playwright's own requests
  const list = await (await request.get(`${MAILPIT_URL}api/v1/search?query=is:read`, { headers: auth })).json();
  expect(list.messages[0].Subject).toBe("Confirm your address");
});

test("the page of the inbox shows it", async ({ page, mailpit }) => {
  await page.goto(MAILPIT_URL);
  await send("cleo@example.net", "<p>Hello Cleo</p>");
  await page.getByRole("link", { name: /Confirm your address/ }).click();
  await expect(page.frameLocator("iframe").getByText("Hello Cleo")).toBeVisible();
  expect((await mailpit.getMessageSummary()).To[0].Address).toBe("cleo@example.net");
});
