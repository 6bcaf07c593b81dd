#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""perl: hashes, regular expressions, sorting, closures, string eval, files that are written, read back and
locked, and alarm() whose handler runs between all of it."""

from moving import MovingProgram, main

SCRIPT = r'''use strict;
use warnings;
use Fcntl qw(:flock :seek);

my ($rounds) = @ARGV;
my ($seed, $ticks, %count, %lengths) = (2463534242, 0);
$SIG{ALRM} = sub { $ticks++; alarm 1 };
alarm 1;
$| = 1;

sub random_below {
  $seed ^= ($seed << 13) & 0xffffffff;
  $seed ^= $seed >> 17;
  $seed ^= ($seed << 5) & 0xffffffff;
  return $seed % $_[0];
}

sub word { join '', map { chr(97 + random_below(26)) } 1 .. 2 + random_below(4) }

my @rules = map { my $n = $_; sub { my $t = shift; $t =~ s/([aeiou])(\w)/$2$1/g if $n % 2; $t } } 1 .. 4;
open my $log, '+>', 'log' or die "log: $!";
for my $round (1 .. $rounds) {
  my $line = join ' ', map { word() } 1 .. 40;
  $line = $_->($line) for @rules;
  $count{$_}++ for split ' ', $line;
  $lengths{length $1}++ while $line =~ /\b(\w+?[aeiou]\w*)\b/g;
  my $value = eval "my \$x = $round; \$x * \$x + " . random_below(100);
  printf {$log} "%06d %s %.6f\n", $round, unpack('H*', pack('NnC', $value, $round & 0xffff, 7)), sqrt $value
    if $round % 50 == 0;
  if ($round % 500 == 0) {
    flock $log, LOCK_EX or die "flock: $!";
    my $end = tell $log;
    seek $log, 0, SEEK_SET;
    my ($lines, $sum) = (0, 0);
    while (<$log>) { $lines++; $sum = ($sum * 31 + ord) % 1000003 for split //, $_; }
    die 'the log was cut' if tell $log != $end;
    seek $log, 0, SEEK_END;
    if ($lines > 200) { seek $log, 0, SEEK_SET; truncate $log, 0 or die "truncate: $!" }
    flock $log, LOCK_UN;
    print "round $round: $lines lines, sum $sum\n";
  }
  eval { die { code => $round } if $round % 997 == 0; 1 } or print "caught $@->{code}\n";
}
close $log or die "close: $!";
my @best = sort { $count{$b} <=> $count{$a} || $a cmp $b } keys %count;
print "$_ $count{$_}\n" for @best[0 .. 19];
print join(',', map { "$_:$lengths{$_}" } sort { $a <=> $b } keys %lengths), "\n";
select undef, undef, undef, 0.02 until $ticks;
alarm 0;  # perl takes the handler away before it ends
print STDERR "alarms came\n";
exit 7;
'''


class PerlText(MovingProgram):
    name = 'perl_text'
    needs = ('perl',)
    first_work = 20000  # lines of 40 words
    status = 7

    def make_input(self, folder, rng):
        (folder / 'text.pl').write_text(SCRIPT, encoding='ascii')

    def command(self, work):
        return ['perl', 'text.pl', str(self.work)]


if __name__ == '__main__':
    main(PerlText)
