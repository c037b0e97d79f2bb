// origin.go - Go's net/http as an origin of the home garden. SPDX-License-Identifier: Apache-2.0
// go run origin.go PORT LOG
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
)

func main() {
	log, err := os.OpenFile(os.Args[2], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		panic(err)
	}
	panic(http.ListenAndServe("127.0.0.1:"+os.Args[1], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(log, "%s\t%s\t%s\t%d\n", r.Header.Get("X-Request-Id"), r.Method, r.RequestURI, size)
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, "{}")
	})))
}
