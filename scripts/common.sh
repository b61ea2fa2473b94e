# For the scripts beside it: `. scripts/common.sh` after changing to the source root.

started_s=$(date +%s)

# say TEXT: a step of the work, with the seconds since the start.
say() {
	printf '[%4ds] %s\n' $(($(date +%s) - started_s)) "$*" >&2
}

warn() {
	printf '        warning: %s\n' "$*" >&2
}

die() {
	printf '        error: %s\n' "$*" >&2
	exit 1
}

# quietly LOG COMMAND...: runs it with its output in LOG, which is shown only when it fails.
quietly() {
	local log=$1
	shift
	mkdir -p "$(dirname "$log")"
	if ! "$@" >"$log" 2>&1; then
		tail -n 40 "$log" >&2
		die "failed: $* (all of it: $log)"
	fi
}

is_root() {
	[ "$(id -u)" -eq 0 ]
}

# Fails with what to do when the CPU cannot run what the build makes.
need_avx2() {
	grep -q -w avx2 /proc/cpuinfo ||
		die "this CPU has no AVX2. Millrace is built for x86-64-v3 (Intel since Haswell, AMD since Excavator); no slower way exists."
}

# build DIR MESON_ARGS...: configures once, then compiles what changed.
build() {
	local dir=$1
	shift
	if [ ! -f "$dir/build.ninja" ]; then
		rm -rf "$dir"
		quietly "$dir.log" meson setup "$dir" "$@"
	fi
	quietly "$dir.log" ninja -C "$dir"
	mv "$dir.log" "$dir/build.log"
}
