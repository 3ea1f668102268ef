import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;

/** 同步订单：带签名的 GET 与 POST。Synchronise orders: a signed GET and a signed POST. */
public class Sync {
    static String pair(String name, String value) {
        return name + "=" + URLEncoder.encode(value, StandardCharsets.UTF_8);
    }

    public static void main(String[] args) throws Exception {
        String url = System.getenv("BAODAN_URL") + "/api/gth/syc/order";
        String raw = String.join("&",
            pair("key", System.getenv("PARTNER_KEY")),
            pair("name", System.getenv("PARTNER_NAME")),
            pair("password", System.getenv("PARTNER_PASSWORD")),
            pair("type", "1"),
            pair("start", "2024-09-01 00:00:00"));
        byte[] digest = MessageDigest.getInstance("MD5")
            .digest((raw + System.getenv("PARTNER_SK")).getBytes(StandardCharsets.UTF_8));
        String sign = HexFormat.of().formatHex(digest);

        HttpClient client = HttpClient.newHttpClient();
        HttpRequest get = HttpRequest.newBuilder(URI.create(url + "?" + raw)).header("sign", sign).build();
        System.out.println(client.send(get, HttpResponse.BodyHandlers.ofString()).body());
        Thread.sleep(1100); // 每个密钥每秒一次 · one request a second per key
        HttpRequest post = HttpRequest.newBuilder(URI.create(url)).header("sign", sign)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .POST(HttpRequest.BodyPublishers.ofString(raw)).build();
        System.out.println(client.send(post, HttpResponse.BodyHandlers.ofString()).body());
    }
}
