# Puts a Node that is new enough, and the project's own tools, first on PATH. Sourced with CN_ROOT set to the project's
# folder; POSIX sh, no output. After it CN_NODE_OK is 1, or empty when there is no such Node yet (scripts/deps.sh gets it).

. "$CN_ROOT/versions.env"

# 22.22 is the oldest line all our packages run on; the odd releases 23 and 25 are not supported by some of them.
cn_node_is_new_enough() {
  command -v node >/dev/null 2>&1 &&
    node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
      process.exit(major > 25 || major === 24 || (major === 22 && minor >= 22) ? 0 : 1)' >/dev/null 2>&1
}

CN_LOCAL_NODE="$CN_ROOT/.tools/node/node_modules/node/bin"
CN_NODE_OK=
if cn_node_is_new_enough; then
  CN_NODE_OK=1
elif [ -x "$CN_LOCAL_NODE/node" ]; then
  PATH="$CN_LOCAL_NODE:$PATH"
  if cn_node_is_new_enough; then CN_NODE_OK=1; fi
fi
PATH="$CN_ROOT/node_modules/.bin:$PATH"
export PATH

# Types are stripped and code is compiled once, not at every start: half of a start's time, and memory of the stripper that a
# service would keep. Node goes without where it may not write.
if [ -z "${NODE_COMPILE_CACHE:-}" ] && [ -w "$CN_ROOT" ]; then
  NODE_COMPILE_CACHE="$CN_ROOT/.data/compile-cache"
  export NODE_COMPILE_CACHE
fi
