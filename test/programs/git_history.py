#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""git on a repository of its own: clone, log, blame, rev-list, pack-objects with threads, gc, fsck. The shell and
everything it starts are moved; what forks comes home for that and may leave again."""

from moving import main, MovingProgram

FILES = 40
LINES = 120

CONFIG = '''\
[gc]
\tauto = 0
[pack]
\tthreads = 1
[maintenance]
\tauto = false
[safe]
\tdirectory = *
'''

# One thread where packs are compared: with more the choice of deltas depends on who is first.
SCRIPT = '''\
set -e
git init --quiet --bare --initial-branch=main origin
git --git-dir=origin fast-import --quiet < history
git clone --quiet --no-hardlinks origin copy
cd copy
git log -p --stat -M --format='%H %an %ad%n%B' > ../log
git log --graph --oneline --all -S word7 -- 'file1*' > ../search
git blame -w -C HEAD -- file7 > ../blame
git rev-list --objects --all | sort > ../objects
git -c pack.threads=2 pack-objects --quiet --all --no-reuse-delta --depth=30 --window=20 --stdout \\
  </dev/null >../some.pack
git index-pack --threads=2 --stdin < ../some.pack | cut -c1-4
rm ../some.pack
git checkout --quiet -b side HEAD~30
git merge --quiet -m merged main
git gc --quiet --aggressive --prune=now
git fsck --full --strict --no-progress
git count-objects -v | grep -v size
git status --short
rm -r .git/config .git/index .git/objects/pack
cd ..
git --git-dir=origin gc --quiet
echo done
exit 6
'''


class GitHistory(MovingProgram):
    name = 'git_history'
    needs = ('git',)
    first_work = 300  # commits
    exponent = 1.2
    status = 6
    moves_family = True

    def make_input(self, folder, rng):
        (folder / '.gitconfig').write_text(CONFIG, encoding='ascii')
        (folder / 'script').write_text(SCRIPT, encoding='ascii')
        files = {}
        with open(folder / 'history', 'w', encoding='ascii') as out:
            for number in range(self.work):
                out.write(self.commit(number, rng, files))
            out.write('done\n')

    def commit(self, number, rng, files):
        """One commit of the stream that git fast-import reads: some lines of some files are changed."""
        message = f'change {number}\n'
        text = (f'commit refs/heads/main\ncommitter A B <a@b> {1600000000 + 60 * number} +0000\n'
                f'data {len(message)}\n{message}')
        for name in {f'file{rng.randrange(FILES)}' for _ in range(3)}:
            lines = files.setdefault(name, [self.line(rng) for _ in range(LINES)])
            for _ in range(rng.randint(1, 8)):
                lines[rng.randrange(len(lines))] = self.line(rng)
            lines.insert(rng.randrange(len(lines)), self.line(rng))
            data = ''.join(lines)
            text += f'M 100644 inline {name}\ndata {len(data)}\n{data}\n'
        return text + '\n'

    @staticmethod
    def line(rng):
        return ' '.join(f'word{rng.randrange(500)}' for _ in range(rng.randint(1, 9))) + '\n'

    def settings(self):
        who = {f'GIT_{role}_{what}': value for role in ('AUTHOR', 'COMMITTER')
               for what, value in (('NAME', 'A B'), ('EMAIL', 'a@b'), ('DATE', '1700000000 +0000'))}
        return {'GIT_CONFIG_NOSYSTEM': '1', **who}

    def command(self, work):
        return ['/bin/sh', 'script']


if __name__ == '__main__':
    main(GitHistory)
