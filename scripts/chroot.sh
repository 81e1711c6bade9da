# shellcheck shell=bash disable=SC2016,SC2034
# Debian chroots to build and test in; sourced by test-libtorch2 and test-fresh.
#
# A chroot is unpacked once, into the user's cache folder. Everything is mounted
# in a private mount namespace, so that nothing stays mounted however it ends.

chroots=${XDG_CACHE_HOME:-$HOME/.cache}/diffusioninst/chroot

# need_root runs the calling script again as root.
need_root() {
	[ "$(id -u)" = 0 ] && return
	command -v sudo >/dev/null || { echo "$0: needs root for its chroot; run it as root" >&2; exit 1; }
	exec sudo --preserve-env=XDG_CACHE_HOME,HOME,PATH,DEBIAN_MIRROR "$0" "$@"
}

# debian_mirror prints where packages come from: $DEBIAN_MIRROR, or what this machine's apt uses.
debian_mirror() {
	if [ -n "${DEBIAN_MIRROR:-}" ]; then
		echo "$DEBIAN_MIRROR"
		return
	fi
	apt-get indextargets --format '$(SITE) $(ORIGIN) $(LABEL)' 2>/dev/null |
		awk '$2 == "Debian" && $3 == "Debian" { print $1; exit }' | grep . || {
		echo "$0: apt names no Debian mirror here; set DEBIAN_MIRROR=http://…/debian" >&2
		return 1
	}
}

# make_chroot SUITE FOLDER PACKAGE… unpacks Debian SUITE with the packages, unless the folder is complete already.
make_chroot() {
	local suite=$1 root=$2 mirror packages
	shift 2
	packages=$*
	[ "$(cat "$root/.packages" 2>/dev/null)" = "$packages" ] && return
	command -v debootstrap >/dev/null || {
		echo "$0: needs debootstrap: apt-get install debootstrap" >&2
		return 1
	}
	mirror=$(debian_mirror) || return 1
	if [ ! -e "$root/.unpacked" ]; then
		echo "unpacking Debian $suite into $root" >&2
		rm -rf "$root"
		mkdir -p "$root"
		unshare --mount debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root.log" 2>&1 || {
			tail -n 20 "$root.log" >&2
			return 1
		}
		: >"$root/.unpacked"
	fi
	echo "installing $packages in $root" >&2
	in_chroot "$root" / sh -ec "
		export DEBIAN_FRONTEND=noninteractive
		# A mirror frozen at a date is past its validity, but still signed.
		apt-get update -q -o Acquire::Check-Valid-Until=false
		apt-get install -y -q --no-install-recommends $packages
		apt-get clean" >"$root.log" 2>&1 || {
		tail -n 20 "$root.log" >&2
		return 1
	}
	echo "$packages" >"$root/.packages"
}

# in_chroot ROOT FOLDER COMMAND… runs the command inside, in FOLDER. $binds holds
# lines "FROM TO" of further folders to show there, read-only.
in_chroot() {
	local root=$1 folder=$2 goroot
	shift 2
	goroot=$(go env GOROOT)
	CHROOT_BINDS="$goroot /usr/local/go
${binds:-}" unshare --mount --pid --fork --kill-child bash -ec '
		root=$1 folder=$2
		shift 2
		mount -t proc proc "$root/proc"
		mount --rbind /sys "$root/sys"
		mount --rbind /dev "$root/dev"
		while read -r from to; do
			[ -n "$from" ] || continue
			mkdir -p "$root$to"
			mount --bind "$from" "$root$to"
			mount -o remount,bind,ro "$root$to"
		done <<<"$CHROOT_BINDS"
		unset CHROOT_BINDS
		[ ! -e /etc/resolv.conf ] || cp /etc/resolv.conf "$root/etc/resolv.conf"
		# A network with its own certificate authority needs it inside, too.
		if [ -e /etc/ssl/certs/ca-certificates.crt ]; then
			mkdir -p "$root/etc/ssl/certs"
			cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
		fi
		exec chroot "$root" env --unset=LIBTORCH --unset=CGO_CXXFLAGS --unset=CGO_CFLAGS --unset=CGO_LDFLAGS \
			--unset=GOROOT --unset=GOFLAGS --unset=XDG_CACHE_HOME --unset=XDG_CONFIG_HOME \
			HOME=/root TMPDIR=/tmp PATH=/usr/local/go/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
			GOTOOLCHAIN=local GOMODCACHE=/var/cache/go-mod GOCACHE=/var/cache/go-build \
			sh -ec "cd \"\$1\"; shift; exec \"\$@\"" sh "$folder" "$@"
	' bash "$root" "$folder" "$@"
}
