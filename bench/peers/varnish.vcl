# The built-in rules do what the rows need: keep what may be kept, pass on the rest.
vcl 4.1;

backend origin {
  .host = "127.0.0.1";
  .port = "${ORIGIN_PORT}";
}
