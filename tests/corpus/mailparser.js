// Reads the messages NAME.eml of a folder with mailparser; prints a JSON object: name to what it found.
const fs = require("fs");
const path = require("path");
const crypto = require("crypto");
const { simpleParser } = require("mailparser");

const people = (value) => {
    const lists = value === undefined ? [] : Array.isArray(value) ? value : [value];
    const flat = (items) => items.flatMap((item) => (item.group ? flat(item.group) : [[item.name, item.address || ""]]));
    return lists.flatMap((list) => flat(list.value));
};

// The line ends of a text are not a part of it.
const digest = (file) => {
    const isText = file.contentType.startsWith("text/");
    const octets = isText ? Buffer.from(file.content.toString("latin1").replace(/\r\n/g, "\n"), "latin1") : file.content;
    return crypto.createHash("sha256").update(octets).digest("hex");
};

async function reading(file) {
    const options = { skipHtmlToText: true, skipTextToHtml: true, skipTextLinks: true, skipImageLinks: true };
    const mail = await simpleParser(fs.readFileSync(file), options);
    return {
        subject: mail.subject || "",
        from: people(mail.from), to: people(mail.to), cc: people(mail.cc), bcc: people(mail.bcc),
        "reply-to": people(mail.replyTo),
        date: mail.date ? mail.date.toISOString() : "",
        "message-id": mail.messageId || "",
        references: [].concat(mail.references || []),
        text: mail.text || "",
        html: mail.html || "",
        files: mail.attachments.map((file) => [file.filename || "", digest(file)]),
        types: mail.attachments.map((file) => [file.contentType, file.contentDisposition || "", file.cid || ""]),
    };
}

(async () => {
    const folder = process.argv[2];
    const found = {};
    for (const name of fs.readdirSync(folder).filter((name) => name.endsWith(".eml")))
        found[name.slice(0, -4)] = await reading(path.join(folder, name));
    process.stdout.write(JSON.stringify(found));
})();
