"""Any pixel layout becomes upright 8-bit sRGB."""

import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms
from support.hostile import write_bomb
from support.photos import photograph

from trainer.pictures.decode import PictureError, decode, open_rgb, read_header


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    with Image.open(photograph("chelsea")) as image:
        return image.convert("RGB")


def difference(first: Image.Image, second: Image.Image) -> float:
    """Mean absolute difference in grey levels."""
    return float(np.abs(np.asarray(first, np.float32) - np.asarray(second, np.float32)).mean())


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_is_turned_upright(tmp_path: Path, photo: Image.Image, orientation: int) -> None:
    stored = {
        1: photo,
        2: photo.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
        3: photo.transpose(Image.Transpose.ROTATE_180),
        4: photo.transpose(Image.Transpose.FLIP_TOP_BOTTOM),
        5: photo.transpose(Image.Transpose.TRANSPOSE),
        6: photo.transpose(Image.Transpose.ROTATE_90),
        7: photo.transpose(Image.Transpose.TRANSVERSE),
        8: photo.transpose(Image.Transpose.ROTATE_270),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "turned.png", exif=exif)
    picture = decode(tmp_path / "turned.png")
    assert difference(picture.rgb, photo) == 0
    assert (picture.header.width, picture.header.height) == photo.size


def test_nonsense_orientation_is_ignored(tmp_path: Path, photo: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 77
    photo.save(tmp_path / "odd.png", exif=exif)
    assert difference(open_rgb(tmp_path / "odd.png"), photo) == 0


def test_transparency_lies_on_white_in_rgba_grey_and_palette(tmp_path: Path, photo: Image.Image) -> None:
    alpha = Image.new("L", photo.size, 255)
    alpha.paste(0, (0, 0, 100, photo.height))
    for mode in ("RGBA", "LA"):
        image = photo.convert(mode)
        image.putalpha(alpha)
        image.save(tmp_path / f"{mode}.png")
    palette = photo.quantize(64)
    palette.paste(0, (0, 0, 100, photo.height))
    palette.save(tmp_path / "P.png", transparency=0)
    for name in ("RGBA", "LA", "P"):
        picture = decode(tmp_path / f"{name}.png")
        assert picture.rgb.getpixel((50, 150)) == (255, 255, 255), name
        assert picture.rgb.getpixel((300, 150)) != (255, 255, 255), name
        assert any("white" in note for note in picture.notes), name


def test_kept_alpha_comes_apart_with_the_colours_beneath_it(tmp_path: Path, photo: Image.Image) -> None:
    alpha = Image.new("L", photo.size, 255)
    alpha.paste(0, (0, 0, 100, photo.height))
    image = photo.copy()
    image.putalpha(alpha)
    image.save(tmp_path / "weight.png")
    for scale in (None, lambda width, height: 0.1):
        picture = decode(tmp_path / "weight.png", scale, keep_alpha=True)
        assert picture.alpha is not None
        assert picture.alpha.getextrema() == (0, 255)
        assert difference(picture.rgb, photo.reduce(photo.width // picture.rgb.width).resize(picture.rgb.size)) < 3


@pytest.mark.parametrize("level", [0, 128, 255])
def test_alpha_that_is_the_same_everywhere_is_no_weight(tmp_path: Path, photo: Image.Image, level: int) -> None:
    image = photo.copy()
    image.putalpha(level)
    image.save(tmp_path / "flat.png")
    assert decode(tmp_path / "flat.png", keep_alpha=True).alpha is None
    assert open_rgb(tmp_path / "flat.png", keep_alpha=True).mode == "RGB"


def test_16_bit_grey_keeps_its_tones(tmp_path: Path, photo: Image.Image) -> None:
    grey = photo.convert("L")
    wide = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    for name in ("wide.png", "wide.tif"):
        wide.save(tmp_path / name)
        assert difference(open_rgb(tmp_path / name), grey.convert("RGB")) < 0.6, name


def test_floating_point_tiff_keeps_its_tones(tmp_path: Path, photo: Image.Image) -> None:
    grey = photo.convert("L")
    Image.fromarray(np.asarray(grey, np.float32) / 255).save(tmp_path / "float.tif")
    assert difference(open_rgb(tmp_path / "float.tif"), grey.convert("RGB")) < 2


def test_not_a_number_is_refused_with_the_reason(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64), np.inf, np.float32)).save(tmp_path / "inf.tif")
    with pytest.raises(PictureError, match="not finite"):
        open_rgb(tmp_path / "inf.tif")


def test_cmyk_black_and_white_and_bilevel_open_as_rgb(tmp_path: Path, photo: Image.Image) -> None:
    photo.convert("CMYK").save(tmp_path / "cmyk.jpg", quality=95)
    photo.convert("L").save(tmp_path / "grey.jpg", quality=95)
    photo.convert("1").save(tmp_path / "one.png")
    assert difference(open_rgb(tmp_path / "cmyk.jpg"), photo) < 4
    assert difference(open_rgb(tmp_path / "grey.jpg"), photo.convert("L").convert("RGB")) < 2
    assert open_rgb(tmp_path / "one.png").getextrema() == ((0, 255),) * 3


def swapped_profile() -> bytes:
    """Return a profile whose red primary is sRGB's green one and the other way round."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data = bytearray(bytes(data).replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be")))
    red, green = data.index(b"rXYZ"), data.index(b"gXYZ")
    data[red : red + 4], data[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(data)


def test_colour_profile_is_converted_to_srgb(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), (200, 30, 30)).save(tmp_path / "swapped.png", icc_profile=swapped_profile())
    picture = decode(tmp_path / "swapped.png")
    red, green, _blue = picture.rgb.getpixel((5, 5))
    assert green > 190
    assert red < 40
    assert picture.notes == ("its colours were converted to sRGB",)


def test_unusable_colour_profile_is_ignored_and_said(tmp_path: Path, photo: Image.Image) -> None:
    photo.save(tmp_path / "broken.png", icc_profile=b"no profile at all")
    picture = decode(tmp_path / "broken.png")
    assert difference(picture.rgb, photo) == 0
    assert "profile" in picture.notes[0]


def test_pictures_larger_than_needed_come_smaller_but_alike(tmp_path: Path, photo: Image.Image) -> None:
    large = photo.resize((photo.width * 4, photo.height * 4), Image.Resampling.BICUBIC)
    for name in ("large.jpg", "large.png"):
        large.save(tmp_path / name, compress_level=1)
        picture = decode(tmp_path / name, lambda width, height: 1 / 4)
        assert picture.rgb.width <= large.width / 2, name
        assert picture.rgb.width >= 2 * photo.width, name
        assert (picture.header.width, picture.header.height) == large.size, name
        assert difference(picture.rgb.resize(photo.size, Image.Resampling.LANCZOS), photo) < 4, name


def test_100_megapixels_are_read(tmp_path: Path, photo: Image.Image) -> None:
    photo.convert("L").resize((10_000, 10_000), Image.Resampling.NEAREST).save(tmp_path / "huge.jpg", quality=60)
    picture = decode(tmp_path / "huge.jpg", lambda width, height: 512 / width)
    assert picture.header.width == 10_000
    assert 1024 <= picture.rgb.width <= 2500


def test_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = write_bomb(tmp_path / "bomb.png")
    for call in (decode, read_header):
        with pytest.raises(PictureError, match=r"60000×60000 = 3,600 megapixels, more than the limit of 250"):
            call(path)
    assert Image.MAX_IMAGE_PIXELS is not None


def test_limit_can_be_lowered(tmp_path: Path) -> None:
    with pytest.raises(PictureError, match="limit of 0"):
        decode(photograph("astronaut"), max_megapixels=0.2)


def test_only_the_first_frame_of_an_animation_is_read(tmp_path: Path, photo: Image.Image) -> None:
    frames = [photo, photo.point(lambda value: 255 - value)]
    for name in ("two.gif", "two.webp", "two.png", "two.tif"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        picture = decode(tmp_path / name)
        assert picture.header.frames == 2, name
        assert difference(picture.rgb, photo) < 12, name


def test_jpeg_with_garbage_in_its_exif_is_read(tmp_path: Path, photo: Image.Image) -> None:
    buffer = BytesIO()
    photo.save(buffer, "JPEG", exif=b"Exif\x00\x00MM\x00*\x00\x00\x00\x08\xff\xff" + b"\xff" * 40)
    (tmp_path / "odd.jpg").write_bytes(buffer.getvalue())
    assert open_rgb(tmp_path / "odd.jpg").size == photo.size


def test_heic_is_read_where_its_package_is_and_else_the_package_is_named(
    tmp_path: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "phone.heic"
    heif.from_pillow(photo).save(path, quality=95)
    seen = decode(path)
    assert seen.header.format == "HEIF"
    assert seen.rgb.size == photo.size
    assert difference(seen.rgb, photo) < 6
    monkeypatch.setitem(sys.modules, "pillow_heif.HeifImagePlugin", None)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(PictureError, match=r"needs the package pillow-heif: pip install 'hypernet-wizard\[heic\]'"):
        decode(path)


def test_avif_is_read(tmp_path: Path, photo: Image.Image) -> None:
    path = tmp_path / "web.avif"
    photo.convert("RGB").save(path, quality=90)
    seen = decode(path)
    assert seen.header.format == "AVIF"
    assert difference(seen.rgb, photo) < 6
