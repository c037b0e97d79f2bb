// origin.js - Node's own HTTP server as an origin of the home garden. SPDX-License-Identifier: Apache-2.0
// node origin.js PORT LOG
const fs = require("fs");
const http = require("http");

http.createServer((request, response) => {
    let size = 0;
    request.on("data", piece => { size += piece.length; });
    request.on("end", () => {
        fs.appendFileSync(process.argv[3],
            `${request.headers["x-request-id"] || ""}\t${request.method}\t${request.url}\t${size}\n`);
        response.writeHead(200, {"Content-Type": "application/json"});
        response.end("{}");
    });
}).listen(Number(process.argv[2]), "127.0.0.1");
