# brew install --HEAD ./packaging/homebrew/memoman.rb
class Memoman < Formula
  desc "TLSF memory allocator: constant time, over memory that the caller supplies"
  homepage "https://example.invalid/memoman"
  head ENV.fetch("MEMOMAN_SOURCE", "https://example.invalid/memoman.git"), using: :git
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build
  depends_on :linux

  def install
    system "make"
    system "make", "install", "PREFIX=#{prefix}", "MANDIR=#{man}", "DOCDIR=#{doc}"
  end

  test do
    (testpath/"hello.c").write <<~EOS
      #include <memoman.h>
      static unsigned char memory[65536];
      int main(void) {
          mm_allocator_t *heap = mm_create_with_pool(memory, sizeof memory);
          return mm_malloc(heap, 32) == NULL || !mm_validate(heap);
      }
    EOS
    system ENV.cc, "hello.c", "-I#{include}", "-L#{lib}", "-lmemoman", "-o", "hello"
    system "./hello"
  end
end
