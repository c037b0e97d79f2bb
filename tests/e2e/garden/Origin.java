// Origin.java - the JDK's HTTP server as an origin of the home garden. SPDX-License-Identifier: Apache-2.0
// java Origin.java PORT LOG
import com.sun.net.httpserver.HttpServer;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

public class Origin {
    public static void main(String[] arguments) throws Exception {
        OutputStream log = Files.newOutputStream(Path.of(arguments[1]), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(arguments[0])), 64);

        server.createContext("/", exchange -> {
            int size = exchange.getRequestBody().readAllBytes().length;
            String id = exchange.getRequestHeaders().getFirst("X-Request-Id");

            log.write((id + "\t" + exchange.getRequestMethod() + "\t" + exchange.getRequestURI() + "\t" + size + "\n").getBytes());
            exchange.getResponseHeaders().set("Content-Type", "application/json");
            exchange.sendResponseHeaders(200, 2);
            exchange.getResponseBody().write("{}".getBytes());
            exchange.close();
        });
        server.start();
    }
}
