#!/bin/sh
# Run a command as a user who can have a rootless Podman: unshare --mount sh rootless.sh FOLDER ID COMMAND…
#
# Such a user needs a name and subordinate ids in files of /etc. Copies of these with the user's lines, made in FOLDER,
# stand in their place for the command and for the containers that it starts, and for nobody else.
set -e
folder=$1 id=$2
shift 2
for file in passwd group subuid subgid; do
    [ ! -e "/etc/$file" ] || cat "/etc/$file" >"$folder/$file"
done
echo "cryodenoise:x:$id:$id::$HOME:/bin/sh" >>"$folder/passwd"
echo "cryodenoise:x:$id:" >>"$folder/group"
echo "$id:2000000000:65536" | tee -a "$folder/subuid" >>"$folder/subgid"
for file in passwd group subuid subgid; do
    mount --bind "$folder/$file" "/etc/$file"
done
# crun refuses the two versions of control groups side by side, when the second has any controller.
hybrid=/sys/fs/cgroup/unified
! mountpoint -q $hybrid || umount $hybrid
exec setpriv --reuid "$id" --regid "$id" --clear-groups env USER=cryodenoise "$@"
