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

# build DIR TARGET MESON_ARGS...: configures once, then compiles what changed of the target.
build() {
	local dir=$1 target=$2
	shift 2
	if [ ! -f "$dir/build.ninja" ]; then
		rm -rf "$dir"
		quietly "run/$dir.log" meson setup "$dir" "$@"
	fi
	mkdir -p run
	# A line for each tenth of the work.
	if ! ninja -C "$dir" "$target" 2>&1 | tee "run/$dir.log" | awk -F '[][/]' '
		/^\[[0-9]+\/[0-9]+\]/ && $3 > 20 && int($2 * 10 / $3) > tenth {
			tenth = int($2 * 10 / $3)
			printf "        %3d %% of %d files\n", tenth * 10, $3
			fflush()
		}' >&2; then
		grep -A 12 -E '^FAILED|error:' "run/$dir.log" | head -n 60 >&2 || true
		die "failed: ninja -C $dir (all of it: run/$dir.log)"
	fi
	mv "run/$dir.log" "$dir/build.log"
}

# build_release TARGET: what users run. The tests of such a build are not made unless TARGET is `all`.
build_release() {
	build build "$1" --buildtype=release
}
