#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""awk: fields of a large file, associative arrays, regular expressions, several output files, and the file
read a second time by getline."""

from moving import MovingProgram, main

SCRIPT = r'''
BEGIN { FS = "[ ,]" }
{
  sum[$1 % 997] += $2
  words[$3]++
  if ($4 ~ /^[a-m]+[n-z]/) matched++
  gsub(/[aeiou]+/, "<&>", $4)
  length_of[length($4)]++
  for (i = 1; i <= NF; i++) {
    text = sprintf("%s.%d", $i, i)
    code = (code * 7 + index(text, "e") + length(text)) % 65521
  }
  for (k = substr($3, 1, 3) "x"; k ~ /[a-y]x/; k = substr(k, 2)) ends[substr(k, 1, 1), NR % 13]++
  if (NR % 5000 == 0) printf "%d %s %.3f\n", NR, $4, sum[$1 % 997] > ("part" int(NR / 5000) % 4)
}
END {
  for (i = 0; i < 997; i += 100) printf "%d %.4f\n", i, sum[i]
  for (w in words) if (words[w] > best) { best = words[w] }
  for (w in words) if (words[w] == best) print "most often", w, best
  for (n in length_of) print "length", n, length_of[n]
  for (e in ends) total = (total * 3 + ends[e]) % 65521
  print "matched", matched, code, total
  for (i = 0; i < 4; i++) close("part" i)
  while ((getline line < FILENAME) > 0) { again++; hash = (hash * 31 + length(line)) % 1000003 }
  print "again", again, hash
  exit 5
}
'''


class AwkReport(MovingProgram):
    name = 'awk_report'
    needs = ('awk',)
    first_work = 1000000  # lines
    status = 5

    def make_input(self, folder, rng):
        (folder / 'report.awk').write_text(SCRIPT, encoding='ascii')
        words = [''.join(rng.choices('abcdefghijklmnopqrstuvwxyz', k=rng.randint(2, 9))) for _ in range(5000)]
        lines = [f'{rng.randrange(100000)} {rng.random():.6f},{rng.choice(words)} {rng.choice(words)}\n'
                 for _ in range(10000)]
        with open(folder / 'input', 'w', encoding='ascii') as out:
            for start in range(0, self.work, len(lines)):
                rng.shuffle(lines)
                out.writelines(lines[:self.work - start])

    def command(self, work):
        return ['awk', '-f', 'report.awk', 'input']


if __name__ == '__main__':
    main(AwkReport)
