# shellcheck shell=bash
# Programs of run.py: documents, pictures, films. programs.sh has the rules.

# chromium without a window renders a page: what scripts have made of it, and the pixels
program_chromium() {
    cat >page.html <<'HTML'
<!doctype html><title>page</title>
<style>div { float: left; width: 40px; height: 20px; font: 12px monospace } </style><body><script>
let state = 1;
for (let i = 0; i < 4000; i++) {
    state = (state * 1103515245 + 12345) % 2147483648;
    const box = document.createElement("div");
    box.textContent = state % 1000;
    box.style.background = `rgb(${state % 256}, ${(state >> 8) % 256}, ${(state >> 16) % 256})`;
    document.body.append(box);
}
const boxes = document.querySelectorAll("div").length;
document.title = boxes + " boxes, " + document.body.offsetHeight + " high";
</script>
HTML
    local flags=(--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run
        --hide-scrollbars "--user-data-dir=$PWD/profile" --window-size=1000,900)
    export HOME=$PWD
    flags+=("file://$PWD/page.html")
    timeout 100 chromium --dump-dom "${flags[@]}" 2>>chromium.err | sha256sum
    timeout 100 chromium "--screenshot=$PWD/page.png" "${flags[@]}" >/dev/null 2>>chromium.err
    sha256sum <page.png
    grep -a '^memoman: ' chromium.err >&2 || true
}

# ImageMagick: an image is made, blurred, turned, shrunk and packed
program_imagemagick() {
    convert -size 1200x900 -seed 7 gradient:red-blue -swirl 120 -blur 0x4 -rotate 30 -resize 700x \
        -posterize 40 rgb:pixels
    sha256sum <pixels
    convert -size "700x" -depth 8 gradient:green-white -resize 640x480! -charcoal 2 png:picture.png
    convert picture.png rgb: | sha256sum
}

# ffmpeg: a film of its own, coded by two threads and decoded
program_ffmpeg() {
    local quiet=(-nostdin -hide_banner -loglevel error)
    ffmpeg "${quiet[@]}" -f lavfi -i testsrc2=size=640x360:rate=25:duration=8 \
        -f lavfi -i sine=frequency=440:duration=8 -c:v libx264 -threads 2 -preset veryfast \
        -c:a aac -flags +bitexact -fflags +bitexact film.mkv
    ffmpeg "${quiet[@]}" -threads 2 -i film.mkv -vf scale=320:180,hue=h=30 -f framemd5 - | sha256sum
}

# firefox without a window renders a page
program_firefox() {
    cat >page.html <<'HTML'
<!doctype html><title>page</title>
<style>div { float: left; width: 40px; height: 20px; background: red } </style><body><script>
let state = 1;
for (let i = 0; i < 4000; i++) {
    state = (state * 1103515245 + 12345) % 2147483648;
    const box = document.createElement("div");
    box.style.background = `rgb(${state % 256}, ${(state >> 8) % 256}, ${(state >> 16) % 256})`;
    document.body.append(box);
}
</script>
HTML
    export HOME=$PWD MOZ_DISABLE_CONTENT_SANDBOX=1
    mkdir profile
    timeout 100 firefox-esr --headless --no-remote --profile "$PWD/profile" \
        --screenshot "$PWD/page.png" --window-size=1000,900 "file://$PWD/page.html" \
        >/dev/null 2>firefox.err
    sha256sum <page.png
    grep -a '^memoman: ' firefox.err >&2 || true
}

# ghostscript: pages to PDF, and that to pixels
program_ghostscript() {
    cat >pages.ps <<'PS'
%!PS
/state 1 def
/random { /state state 1103 mul 12345 add 65536 mod def state exch mod } def
1 1 40 {
    /page exch def
    /Helvetica findfont 9 scalefont setfont
    1 1 60 {
        /line exch def
        40 800 line 12 mul sub moveto
        page line mul 20 string cvs show ( is a number on this page, ) show
        5 { 90000 random 20 string cvs show ( ) show } repeat
    } for
    50 { 600 random 800 random moveto 600 random 800 random 600 random 800 random
        600 random 800 random curveto 100 random 100 div setgray stroke 0 setgray } repeat
    showpage
} for
PS
    gs -q -dNOPAUSE -dBATCH -sDEVICE=pdfwrite -sOutputFile=pages.pdf pages.ps
    gs -q -dNOPAUSE -dBATCH -sDEVICE=ppmraw -r60 -dTextAlphaBits=4 -sOutputFile=- pages.pdf |
        sha256sum
}

# inkscape: a drawing with gradients and filters to pixels
program_inkscape() {
    {
        echo '<svg xmlns="http://www.w3.org/2000/svg" width="800" height="600"><defs>'
        echo '<filter id="blur"><feGaussianBlur stdDeviation="3"/></filter>'
        echo '<linearGradient id="fade"><stop offset="0" stop-color="red"/>'
        echo '<stop offset="1" stop-color="blue"/></linearGradient></defs>'
        awk 'BEGIN { for (i = 0; i < 2500; i++) {
            x = i * 7919 % 800; y = i * 104729 % 600
            printf "<path d=\"M %d %d C %d %d %d %d %d %d z\" fill=\"%s\" opacity=\"0.5\"%s/>\n",
                x, y, x + i % 97, y + 30, x - 20, y + i % 89, x + 60, y, \
                i % 3 ? "url(#fade)" : "green", i % 50 ? "" : " filter=\"url(#blur)\"" } }'
        echo '</svg>'
    } >drawing.svg
    # Threads that spin while they wait make its time vary.
    export HOME=$PWD OMP_WAIT_POLICY=passive
    inkscape --export-type=png --export-filename=drawing.png drawing.svg >/dev/null 2>inkscape.err
    sha256sum <drawing.png
    grep -a '^memoman: ' inkscape.err >&2 || true
}

# libreoffice: a text of 60 pages to PDF, and that to pixels
program_libreoffice() {
    {
        echo '<html><body><h1>A report</h1>'
        for i in $(seq 120); do
            echo "<h2>Part $i</h2><p>"
            seq -s ' and ' "$i" "$((i + 150))"
            echo "</p><table border=1><tr><td>$i</td><td>$((i * i))</td></tr></table>"
        done
        echo '</body></html>'
    } >report.html
    export HOME=$PWD
    timeout 200 soffice --headless --norestore --writer --convert-to pdf report.html \
        >/dev/null 2>office.err
    gs -q -dNOPAUSE -dBATCH -sDEVICE=ppmraw -r40 -sOutputFile=- report.pdf | sha256sum
    grep -a '^memoman: ' office.err >&2 || true
}
