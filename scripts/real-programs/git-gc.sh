# git gc on a clone of this repository
git -c safe.directory='*' clone -q --no-local --bare "$ROOT" clone 2>/dev/null
git -C clone gc -q --aggressive --prune=now
git -C clone fsck --full --no-progress && echo sound
git -C clone rev-list --all --objects | sort | sha256sum
git -C clone log --all -p | LC_ALL=C sort | sha256sum
