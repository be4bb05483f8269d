# git gc on a repository with the history of this one
git init -q --bare clone
# Up to the commit with which all runs began.
git -c safe.directory='*' -C "$ROOT" rev-list --objects "$COMMIT" | git -c safe.directory='*' -C "$ROOT" pack-objects -q --stdout | git -C clone index-pack --stdin >/dev/null
git -C clone update-ref refs/heads/all "$COMMIT"
git -C clone gc -q --aggressive --prune=now
git -C clone fsck --full --no-progress && echo sound
git -C clone rev-list --all --objects | sort | sha256sum
git -C clone log --all -p | LC_ALL=C sort | sha256sum
