# ruby: objects, text, threads
cat >work.rb <<'RB'
require "digest"
def work(seed)
  map = {}
  80_000.times { |i| map["key #{(i * 7919 + seed) % 30011}"] = [i, "x" * (i % 40), { n: i }] }
  Digest::SHA256.hexdigest(map.sort.map { |key, value| "#{key}=#{value[1]}#{value[2][:n]}" }.join("\n"))
end
puts (0...4).map { |n| Thread.new { work(n) } }.map(&:value).join(" ")
puts Digest::SHA256.hexdigest((0...300_000).map { |i| (i * 104729 % 65537).to_s(36) }.sort.join(" "))
RB
ruby work.rb
