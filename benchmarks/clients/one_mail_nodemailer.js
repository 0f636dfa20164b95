// Sends one mail, or two over one connection, with Nodemailer; the job and the answer are those of one_mail.py.

"use strict";

const fs = require("fs");
const nodemailer = require("nodemailer");

async function send(job) {
    const milliseconds = job.timeout * 1000;
    const transport = nodemailer.createTransport({
        host: job.host, port: job.port, name: "localhost", secure: false, requireTLS: job.tls, ignoreTLS: !job.tls,
        connectionTimeout: milliseconds, greetingTimeout: milliseconds, socketTimeout: milliseconds,
        dnsTimeout: milliseconds, pool: job.messages > 1, maxConnections: 1,
        ...(job.tls ? { tls: { ca: fs.readFileSync(job.ca_file) } } : {}),
        ...(job.login ? { auth: { user: job.login[0], pass: job.login[1] } } : {}),
    });
    const body = Buffer.from(job.body.repeat(job.repeat), "latin1");
    let answer;
    for (let number = 0; number < job.messages; number++) {
        const raw = Buffer.concat([Buffer.from(`Subject: ${number}\r\n\r\n`), body]);
        answer = await transport.sendMail({ envelope: { from: "ann@example.com", to: job.recipients }, raw });
    }
    transport.close();
    return answer.rejected.slice().sort();
}

const job = JSON.parse(process.argv[2]);
send(job)
    .then((refused) => ({ refused }))
    .catch((error) => ({ error: error.code || error.name, text: String(error.message).slice(0, 200) }))
    .then((told) => {
        told.peak = Math.floor(process.resourceUsage().maxRSS / 1024);
        console.log(JSON.stringify(told));
        process.exitCode = 0;
    });
