# ImageMagick: an image is made, blurred, turned, shrunk and packed
convert -size 1200x900 -seed 7 gradient:red-blue -swirl 120 -blur 0x4 -rotate 30 -resize 700x -posterize 40 rgb:pixels
sha256sum <pixels
convert -size "700x" -depth 8 gradient:green-white -resize 640x480! -charcoal 2 png:picture.png
convert picture.png rgb: | sha256sum
