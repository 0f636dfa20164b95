// Nodemailer signs a message over and over; the arguments and the answer are those of sign.py.

"use strict";

const fs = require("fs");
const nodemailer = require("nodemailer");

async function main() {
    const [, key, file, count] = process.argv.slice(2);
    const raw = fs.readFileSync(file);
    const transport = nodemailer.createTransport({
        streamTransport: true, buffer: true,
        dkim: { domainName: "example.com", keySelector: "s1", privateKey: fs.readFileSync(`${key}.pem`, "utf-8") },
    });
    const sign = () => transport.sendMail({ envelope: { from: "ann@example.com", to: ["bob@example.org"] }, raw });
    for (let number = 0; number < 50; number++) await sign();
    const { message } = await sign();
    if (!message.toString("latin1").includes("DKIM-Signature:")) throw new Error("nothing was signed");
    const cpu = process.cpuUsage();
    for (let number = 0; number < Number(count); number++) await sign();
    const spent = process.cpuUsage(cpu);
    console.log(JSON.stringify({ cpu_seconds: (spent.user + spent.system) / 1e6 / Number(count) }));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
