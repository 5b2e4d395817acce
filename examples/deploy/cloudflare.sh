#!/bin/sh
# sgtm straight behind Cloudflare: believe its header, and only from its networks as they are today.
#
#   ./cloudflare.sh container.yaml --host-name sst.shop.example
#
# Close the port to everybody else (firewall, authenticated origin pulls or a tunnel), and start again from
# time to time, since the networks change.
set -eu

# `-w`: the lists need not end with a line break
v4=$(curl -fsS -w '\n' https://www.cloudflare.com/ips-v4)
v6=$(curl -fsS -w '\n' https://www.cloudflare.com/ips-v6)

SGTM_FORWARDED_HEADER=cloudflare
SGTM_TRUSTED_PROXIES=$(printf '%s\n%s\n' "$v4" "$v6" | paste -sd, -)
export SGTM_FORWARDED_HEADER SGTM_TRUSTED_PROXIES
exec sgtm serve "$@"
