# chromium without a window renders a page: what scripts have made of it, and the pixels
cat >page.html <<'HTML'
<!doctype html><title>page</title><style>div { float: left; width: 40px; height: 20px; font: 12px monospace } </style><body><script>
let state = 1;
for (let i = 0; i < 4000; i++) {
    state = (state * 1103515245 + 12345) % 2147483648;
    const box = document.createElement("div");
    box.textContent = state % 1000;
    box.style.background = `rgb(${state % 256}, ${(state >> 8) % 256}, ${(state >> 16) % 256})`;
    document.body.append(box);
}
document.title = document.querySelectorAll("div").length + " boxes, " + document.body.offsetHeight + " high";
</script>
HTML
flags=(--headless=new --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --hide-scrollbars "--user-data-dir=$PWD/profile" --window-size=1000,900)
export HOME=$PWD
timeout 100 chromium "${flags[@]}" --dump-dom "file://$PWD/page.html" 2>>chromium.err | sha256sum
timeout 100 chromium "${flags[@]}" "--screenshot=$PWD/page.png" "file://$PWD/page.html" >/dev/null 2>>chromium.err
sha256sum <page.png
grep -a '^memoman: ' chromium.err >&2 || true
