// Jakarta Mail, over one Transport. The arguments and the answer are those of job.py.

import com.sun.management.OperatingSystemMXBean;
import jakarta.mail.Message;
import jakarta.mail.Session;
import jakarta.mail.Transport;
import jakarta.mail.internet.InternetAddress;
import jakarta.mail.internet.MimeMessage;
import java.io.ByteArrayInputStream;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.Date;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Properties;

public final class UseJakartaMail {
    private static final String SENDER = "ann@example.com";
    private static final String LINE = "The quick brown fox jumps over the lazy dog, again and again.\r\n";
    private static final OperatingSystemMXBean SYSTEM =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    private final Map<String, String> job = new HashMap<>();
    private final Session session;

    private UseJakartaMail(String[] arguments) {
        for (int index = 0; index < arguments.length; index += 2) {
            job.put(arguments[index].substring(2), arguments[index + 1]);
        }
        Properties properties = new Properties();
        properties.put("mail.smtp.localhost", "localhost");
        session = Session.getInstance(properties);
    }

    public static void main(String[] arguments) throws Exception {
        UseJakartaMail client = new UseJakartaMail(arguments);
        int count = client.number("count", 1);
        int warmup = client.number("warmup", 0);
        if (warmup > 0) {
            client.run(count, warmup);
        }
        double[] spent = client.run(0, count);
        System.out.printf(Locale.ROOT, "{\"messages\": %d, \"seconds\": %.9f, \"cpu_seconds\": %.9f, "
                + "\"peak_growth\": 0, \"memory\": []}%n", count, spent[0], spent[1]);
    }

    private int number(String name, int otherwise) {
        return Integer.parseInt(job.getOrDefault(name, String.valueOf(otherwise)));
    }

    // Seconds, and seconds of CPU.
    private double[] run(int first, int count) throws Exception {
        boolean isBuilt = job.get("task").equals("built");
        MimeMessage[] ready = isBuilt ? new MimeMessage[0] : rendered(Math.min(count, 100));
        long cpu = SYSTEM.getProcessCpuTime();
        long start = System.nanoTime();
        Transport transport = session.getTransport("smtp");
        transport.connect(job.getOrDefault("host", "127.0.0.1"), number("port", 25), null, null);
        for (int index = first; index < first + count; index++) {
            String address = job.getOrDefault("recipient", "n{}@example.com").replace("{}", String.valueOf(index));
            InternetAddress[] to = {new InternetAddress(address)};
            MimeMessage message = isBuilt ? built(index, to) : ready[index % ready.length];
            transport.sendMessage(message, to);
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        double cpuSeconds = (SYSTEM.getProcessCpuTime() - cpu) / 1e9;
        transport.close();
        return new double[] {seconds, cpuSeconds};
    }

    private MimeMessage[] rendered(int count) throws Exception {
        MimeMessage[] messages = new MimeMessage[count];
        int size = number("size", 2048);
        for (int index = 0; index < count; index++) {
            String head = "From: " + SENDER + "\r\nTo: bob@example.org\r\nSubject: Number " + index + "\r\n\r\n";
            String content = (head + LINE.repeat(size / LINE.length() + 1)).substring(0, size - 2) + "\r\n";
            byte[] octets = content.getBytes(StandardCharsets.US_ASCII);
            messages[index] = new MimeMessage(session, new ByteArrayInputStream(octets));
        }
        return messages;
    }

    private MimeMessage built(int number, InternetAddress[] to) throws Exception {
        MimeMessage message = new MimeMessage(session);
        message.setFrom(new InternetAddress(SENDER));
        message.setRecipients(Message.RecipientType.TO, to);
        message.setSubject("Report " + number);
        message.setSentDate(new Date());
        message.setText(LINE.repeat(16));
        message.saveChanges();
        return message;
    }
}
