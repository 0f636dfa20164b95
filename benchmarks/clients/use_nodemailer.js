// Nodemailer, over a pool of as many connections as the job says. The arguments and the answer are those of job.py.

"use strict";

const fs = require("fs");
const nodemailer = require("nodemailer");

const SENDER = "ann@example.com";
const LINE = "The quick brown fox jumps over the lazy dog, again and again.\r\n";
const DEFAULTS = {
    task: "", host: "127.0.0.1", port: 0, count: 1, warmup: 0, first: 0, size: 2048, connections: 1, recipients: 1,
    window: 0, recipient: "n{}@example.com", file: "", "ca-file": "",
};

function readArguments() {
    const job = { ...DEFAULTS };
    for (let index = 2; index < process.argv.length; index += 2) {
        const name = process.argv[index].slice(2);
        const value = process.argv[index + 1];
        job[name] = typeof DEFAULTS[name] === "number" ? Number(value) : value;
    }
    return job;
}

function content(size, number) {
    const head = `From: ${SENDER}\r\nTo: bob@example.org\r\nSubject: Number ${number}\r\n\r\n`;
    return Buffer.from((head + LINE.repeat(size / LINE.length + 1)).slice(0, size - 2) + "\r\n");
}

const recipient = (job, number) => job.recipient.replace("{}", number);

function memory(name) {
    const line = fs.readFileSync("/proc/self/status", "ascii").split("\n").find((text) => text.startsWith(name));
    return Number(line.split(/\s+/)[1]) * 1024;
}

const transportFor = (job, options = {}) =>
    nodemailer.createTransport({
        host: job.host, port: job.port, name: "localhost", ignoreTLS: true,
        ...(job["ca-file"] ? { secure: true, tls: { ca: fs.readFileSync(job["ca-file"]) } } : {}),
        pool: true, maxConnections: job.connections, maxMessages: Infinity,
        ...options,
    });

// As many in flight as there are connections; each acknowledged before its connection takes the next.
async function sendAll(job, messageOf, options, plugin) {
    const transport = transportFor(job, options);
    if (plugin) transport.use("compile", plugin);
    let next = job.first;
    const worker = async () => {
        while (next < job.first + job.count) await transport.sendMail(messageOf(next++));
    };
    await Promise.all(Array.from({ length: job.connections }, worker));
    return transport;
}

function rendered(job) {
    const contents = Array.from({ length: Math.min(job.count, 100) }, (_, number) => content(job.size, number));
    return sendAll(job, (number) => ({
        envelope: { from: SENDER, to: [recipient(job, number)] },
        raw: contents[number % contents.length],
    }));
}

const built = (job) =>
    sendAll(job, (number) => ({
        from: SENDER, to: recipient(job, number), subject: `Report ${number}`, text: LINE.repeat(16),
    }));

const attachment = (job) =>
    sendAll(job, (number) => ({
        from: SENDER, to: recipient(job, number), subject: "Large", text: LINE.repeat(16),
        attachments: [{ filename: "large.bin", path: job.file }],
    }));

// Each step as fast as its library has it: the template and the writer of text are compiled once.
function letter(job) {
    const template = require("handlebars").compile(fs.readFileSync(`${job.file}/letter.handlebars`, "utf-8"));
    const juice = require("juice");
    const textOf = require("html-to-text").compile({ wordwrap: false });
    const items = Array.from({ length: 10 }, (_, number) => ({
        title: `Book number ${number}`, price: `${number + 5}.00 EUR`,
    }));
    const compile = (mail, done) => {
        const html = template(mail.data.context);
        mail.data.text = textOf(html);
        mail.data.html = juice(html);
        done();
    };
    const dkim = {
        domainName: "example.com", keySelector: "s1", privateKey: fs.readFileSync(`${job.file}/rsa.pem`, "utf-8"),
    };
    return sendAll(job, (number) => ({
        from: SENDER, to: recipient(job, number), subject: `Your order, Customer ${number}`,
        context: { name: `Customer ${number}`, items },
        attachments: [{ filename: "logo.png", path: `${job.file}/logo.png`, cid: "logo@example.com" }],
    }), { dkim }, compile);
}

async function recipients(job) {
    const to = Array.from({ length: job.recipients }, (_, number) => `user${number}@example.com`);
    const transport = transportFor(job);
    const answer = await transport.sendMail({ envelope: { from: SENDER, to }, raw: content(job.size, 0) });
    if (answer.accepted.length !== to.length) throw new Error(`${answer.rejected.length} recipients were refused`);
    return transport;
}

async function first(job) {
    const transport = nodemailer.createTransport({
        host: job.host, port: job.port, name: "localhost", secure: true,
        tls: { ca: fs.readFileSync(job["ca-file"]) }, auth: { user: SENDER, pass: "s3cret" }, authMethod: "PLAIN",
    });
    await transport.sendMail({ envelope: { from: SENDER, to: [recipient(job, 0)] }, raw: content(job.size, 0) });
    return transport;
}

const TASKS = { rendered, built, letter, connections: rendered, attachment, recipients, first };

async function main() {
    const job = readArguments();
    const task = TASKS[job.task];
    if (job.warmup) (await task({ ...job, count: job.warmup, first: job.first + job.count })).close();
    if (task === attachment) fs.writeFileSync("/proc/self/clear_refs", "5");
    const before = memory("VmRSS:");
    const cpu = process.cpuUsage();
    const start = process.hrtime.bigint();
    const transport = await task(job);
    const seconds = Number(process.hrtime.bigint() - start) / 1e9;
    const spent = process.cpuUsage(cpu);
    console.log(JSON.stringify({
        messages: job.count, seconds, cpu_seconds: (spent.user + spent.system) / 1e6,
        peak_growth: memory("VmHWM:") - before, memory: [],
    }));
    transport.close();
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
