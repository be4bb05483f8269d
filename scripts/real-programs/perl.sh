# perl: hashes, lists, text
cat >work.pl <<'PL'
my (%count, @lists);
for my $i (1 .. 400_000) {
    my $word = "w" . ($i * 7919 % 10007);
    $count{$word} .= chr(97 + $i % 26);
    push @{ $lists[$i % 997] }, { n => $i, s => "x" x ($i % 50) };
}
my $sum = 0;
$sum += length $_->{s} for map { @$_ } @lists;
print join(",", map { "$_=" . length $count{$_} } (sort keys %count)[0 .. 20]), " $sum\n";
PL
PERL_HASH_SEED=0 perl work.pl
