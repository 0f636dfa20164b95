// Each call of Mailpit's npm client, against the inbox: node mailpit_calls.mjs CLIENT URL TOKEN
import assert from "node:assert/strict";
const [client, url, token] = process.argv.slice(2);
const { MailpitClient } = await import(client);
const mailpit = new MailpitClient(url, { auth: { username: "any", password: token } });
const image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

assert.equal((await mailpit.listMessages()).total, 0);
const { ID } = await mailpit.sendMessage({
  From: { Email: "ann@example.com", Name: "Ann" }, To: [{ Email: "bob+signup@example.org", Name: "Bob" }], Cc: [{ Email: "cleo@example.net" }],
  Bcc: ["dan@example.net"], ReplyTo: [{ Email: "reply@example.com" }], Subject: "Welcome", Text: "Hello Bob", Tags: ["own"],
  HTML: '<p>Hello <img src="cid:logo" alt="logo"> <a href="https://example.com/">x</a>', Headers: { "X-Own": "yes" },
  Attachments: [{ Filename: "a.txt", Content: Buffer.from("attached").toString("base64"), ContentType: "text/plain" },
    { Filename: "logo.png", Content: image, ContentID: "logo", ContentType: "image/png" }],
});
const found = await mailpit.waitForMessage({ query: "subject:welcome" });
assert.equal(found.ID, ID);
assert.deepEqual(found.From, { Name: "Ann", Address: "ann@example.com" });
assert.deepEqual([found.To[0].Address, found.Cc[0].Address, found.Bcc[0].Address, found.ReplyTo[0].Address],
  ["bob+signup@example.org", "cleo@example.net", "dan@example.net", "reply@example.com"]);
assert.equal(found.Text.trim(), "Hello Bob");
assert.deepEqual(found.Tags, ["own", "signup"]);
assert.equal(found.Attachments[0].FileName, "a.txt");
assert.equal(found.Inline[0].ContentID, "logo");
assert.equal((await mailpit.getMessageHeaders(ID))["X-Own"][0], "yes");
assert.match(await mailpit.getMessageSource(ID), /^Subject: Welcome\r?$/m);
const part = await mailpit.getMessageAttachment(ID, found.Attachments[0].PartID);
assert.equal(await part.text(), "attached");
assert.match(part.type, /^text\/plain/);
assert.equal((await mailpit.getAttachmentThumbnail(ID, found.Inline[0].PartID)).type, "image/png");
assert.match(await mailpit.renderMessageHTML(ID), /data:image\/png;base64/);
assert.match(await mailpit.renderMessageHTML(ID, 1), /Hello/);
assert.equal((await mailpit.renderMessageText()).trim(), "Hello Bob");

let page = await mailpit.searchMessages({ query: "to:bob is:read", start: 0, limit: 5 });
assert.deepEqual([page.messages_count, page.messages_unread, page.unread, page.messages[0].Read], [1, 0, 0, true]);
await mailpit.setReadStatus({ IDs: [ID], Read: false });
assert.equal((await mailpit.listMessages(0, 1)).unread, 1);
await mailpit.setReadStatus({ Search: "subject:Welcome", Read: true }, { tz: "Europe/Berlin" });
assert.equal((await mailpit.getInfo()).Unread, 0);

await mailpit.setTags({ IDs: [ID], Tags: ["one", "two"] });
assert.deepEqual(await mailpit.getTags(), ["one", "two"]);
await mailpit.renameTag("two", "three");
await mailpit.deleteTag("one");
assert.deepEqual(await mailpit.getTags(), ["three"]);

assert.equal((await mailpit.getConfiguration()).ChaosEnabled, true);
assert.equal((await mailpit.setChaosTriggers({ Sender: { ErrorCode: 451, Probability: 100 } })).Sender.Probability, 100);
assert.equal((await mailpit.setChaosTriggers()).Sender.Probability, 0);
assert.equal((await mailpit.getChaosTriggers()).Recipient.Probability, 0);

assert.ok((await mailpit.htmlCheck(ID)).Total.Nodes > 2);
assert.equal((await mailpit.linkCheck(ID)).Links[0].URL, "https://example.com/");
assert.equal(typeof (await mailpit.spamAssassinCheck(ID)).Score, "number");
assert.equal(await mailpit.releaseMessage(ID, ["me@example.com"]), "ok");

assert.equal((await mailpit.waitForMessages({ query: "tag:three", count: 1, exact: true })).messages_count, 1);
await mailpit.deleteMessagesBySearch({ query: "tag:three" });
await mailpit.sendMessage({ From: { Email: "ann@example.com" }, To: [{ Email: "bob@example.org" }], Subject: "Another", Text: "x" });
await mailpit.deleteMessages({ IDs: [(await mailpit.getMessageSummary()).ID] });
assert.equal((await mailpit.waitForMessages({ count: 0 })).total, 0);
await mailpit.deleteMessages();

await assert.rejects(() => mailpit.getMessageSummary(), /404/);
await assert.rejects(() => new MailpitClient(url).deleteMessages(), /401/);
console.log("all calls answered");
