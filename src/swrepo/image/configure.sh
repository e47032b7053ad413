#!/bin/sh
# Run by the image builder on a new root directory ($1) whose packages are installed and over which our files were copied.
# ROLE, ACCOUNTS and UNITS say what the recipe says. Nothing that identifies a machine may be left behind.
set -eu
root=$1
cd "$root" # who builds may stand where the owner of the files may not

chroot "$root" sh -eu <<EOF
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq --no-install-recommends /root/swrepo_*.deb >/dev/null
rm -f /root/swrepo_*.deb
for account in $ACCOUNTS; do
    useradd --create-home --shell /bin/bash "\$account"
done
if [ -n "$ACCOUNTS" ]; then
    # Whoever may use sudo becomes such an account without a password: "su - guest".
    rule='auth [success=ignore default=1] pam_succeed_if.so quiet user in '"\$(echo $ACCOUNTS | tr ' ' ':')"
    sed -i "/pam_rootok.so/a \$rule\\nauth sufficient pam_succeed_if.so quiet use_uid user ingroup sudo" /etc/pam.d/su
fi
if [ "$ROLE" = server ]; then
    usermod --shell /bin/bash --home /home/cvmfs cvmfs
    mkdir -p /home/cvmfs && cp -rT /etc/skel /home/cvmfs && chown -R cvmfs:cvmfs /home/cvmfs
    rm -f /etc/nginx/sites-enabled/default
fi
systemctl enable $UNITS
EOF

echo "$ROLE" >"$root/etc/swrepo/role"
echo localhost >"$root/etc/hostname"
printf 'LABEL=swrepo-root / ext4 errors=remount-ro 0 1\n' >"$root/etc/fstab"
ln -sf ../run/systemd/resolve/stub-resolv.conf "$root/etc/resolv.conf"

# A name of its own and keys of its own are made when a machine first starts.
: >"$root/etc/machine-id"
rm -f "$root/var/lib/dbus/machine-id" "$root"/etc/ssh/ssh_host_* "$root/var/lib/systemd/random-seed"
rm -rf "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* "$root"/var/cache/ldconfig/aux-cache
find "$root/var/log" -type f -exec truncate -s 0 {} +
# What an interpreter kept of its modules when it loaded them is not the same each time.
find "$root/usr/share/python3" -depth -name __pycache__ -exec rm -r {} +
