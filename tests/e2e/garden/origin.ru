# origin.ru - any Rack server (puma) as an origin of the home garden. SPDX-License-Identifier: Apache-2.0
# GARDEN_LOG=LOG puma -b tcp://127.0.0.1:PORT origin.ru
log = File.open(ENV["GARDEN_LOG"], "a")
log.sync = true
run lambda { |env|
  size = env["rack.input"].read.bytesize
  log.write("#{env['HTTP_X_REQUEST_ID']}\t#{env['REQUEST_METHOD']}\t#{env['REQUEST_URI']}\t#{size}\n")
  [200, { "Content-Type" => "application/json" }, ["{}"]]
}
