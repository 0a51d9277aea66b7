"""The kind of a screen, from drawn ones: each kind, what must not be taken for it, each file format, hostile files."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from azext_vmagent.facts.screenshot import ScreenKind, Sure, read_screenshot
from tests import screens
from tests.screens import Screen, bmp, chunk, png


def kind(screen: Screen) -> tuple[ScreenKind, Sure]:
    found = read_screenshot(bmp(screen))
    assert (found.width, found.height) == (screen.width, screen.height)
    return found.kind, found.sure


# -- each kind ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("screen", "expected"),
    [
        pytest.param(Screen(), (ScreenKind.BLACK, Sure.LIKELY), id="black"),
        pytest.param(Screen().box(0, 14, 8, 2), (ScreenKind.BLACK, Sure.LIKELY), id="a cursor on black"),
        pytest.param(screens.linux_login(), (ScreenKind.TEXT, Sure.LIKELY), id="login"),
        pytest.param(screens.linux_login(1920, 1080), (ScreenKind.TEXT, Sure.LIKELY), id="login on a large screen"),
        pytest.param(screens.linux_boot(), (ScreenKind.TEXT, Sure.LIKELY), id="boot text"),
        pytest.param(screens.grub_menu(), (ScreenKind.TEXT, Sure.LIKELY), id="GRUB"),
        pytest.param(screens.pxe(), (ScreenKind.TEXT, Sure.LIKELY), id="PXE under UEFI"),
        pytest.param(screens.boot_manager(), (ScreenKind.BOOT_ERROR, Sure.LIKELY), id="boot manager"),
        pytest.param(screens.boot_manager(screens.BOOT_RED), (ScreenKind.BOOT_ERROR, Sure.LIKELY), id="red boot error"),
        pytest.param(screens.boot_manager(left=112, top=84), (ScreenKind.BOOT_ERROR, Sure.LIKELY), id="under UEFI"),
        pytest.param(screens.recovery(), (ScreenKind.BOOT_ERROR, Sure.WEAK), id="recovery"),
        pytest.param(screens.stop_screen(), (ScreenKind.BLUE_SCREEN, Sure.LIKELY), id="stop, 2016"),
        pytest.param(screens.stop_screen(screens.WINDOWS_2012), (ScreenKind.BLUE_SCREEN, Sure.LIKELY), id="stop, 2012"),
        pytest.param(screens.stop_screen(screens.BLACK), (ScreenKind.BLUE_SCREEN, Sure.LIKELY), id="stop, Windows 11"),
        pytest.param(screens.old_stop_screen(), (ScreenKind.BLUE_SCREEN, Sure.LIKELY), id="stop, 2008 R2"),
        pytest.param(
            screens.clock(Screen((0, 99, 177))), (ScreenKind.LOCK_SCREEN, Sure.LIKELY), id="plain lock screen"
        ),
        pytest.param(screens.clock(Screen().photograph()), (ScreenKind.LOCK_SCREEN, Sure.LIKELY), id="lock screen"),
        pytest.param(
            screens.clock_of_windows_11(Screen((30, 90, 160))),
            (ScreenKind.LOCK_SCREEN, Sure.WEAK),
            id="clock in the middle",
        ),
        pytest.param(Screen().photograph(), (ScreenKind.GRAPHICAL, Sure.WEAK), id="a picture without a clock"),
        pytest.param(screens.getting_ready(), (ScreenKind.PROGRESS, Sure.LIKELY), id="getting ready"),
        pytest.param(
            screens.getting_ready((0, 99, 177)), (ScreenKind.PROGRESS, Sure.LIKELY), id="applying policy on blue"
        ),
        pytest.param(screens.logo(), (ScreenKind.PROGRESS, Sure.WEAK), id="logo"),
        pytest.param(screens.logo(dots=5), (ScreenKind.PROGRESS, Sure.LIKELY), id="logo and ring"),
    ],
)
def test_kinds(screen: Screen, expected: tuple[ScreenKind, Sure]) -> None:
    assert kind(screen) == expected


@pytest.mark.parametrize(
    "screen",
    [
        pytest.param(Screen((0, 120, 215)), id="nothing but blue"),
        pytest.param(Screen((255, 255, 255)), id="nothing but white"),
        pytest.param(Screen().noise(), id="noise"),
        pytest.param(Screen().box(0, 0, 512, 768), id="half white, half black"),
        pytest.param(Screen().text(386, 420, 21, height=24), id="text in the middle of black"),
        pytest.param(
            Screen().text(386, 420, 21, height=24).disc(480, 330, 4).disc(512, 330, 4).disc(544, 330, 4),
            id="three dots in a line",
        ),
        pytest.param(Screen().text(386, 420, 21, height=24).ring(512, 330, dots=2), id="two dots"),
        pytest.param(Screen().box(0, 0, 1024, 24, screens.GREY).text(400, 300, 20), id="a desktop's panel at the top"),
        pytest.param(
            Screen((170, 0, 170), 640, 480).text(0, 10, 60).text(0, 30, 60).text(0, 50, 60), id="a purple screen"
        ),
        pytest.param(
            Screen(screens.WINDOWS_10).text(400, 300, 20, colour=screens.WHITE), id="text in the middle of blue"
        ),
        pytest.param(
            Screen((0, 0, 170)).box(200, 150, 600, 400, screens.GREY).text(300, 200, 30), id="an installer's window"
        ),
        pytest.param(Screen().text(520, 100, 40).text(520, 140, 40).text(560, 180, 30), id="text at the right"),
    ],
)
def test_what_fits_no_kind_is_unknown(screen: Screen) -> None:
    assert kind(screen)[0] is ScreenKind.UNKNOWN


def test_the_recovery_screen_is_not_taken_for_a_stop_screen_nor_the_other_way_round() -> None:
    assert kind(screens.stop_screen(face=True))[0] is ScreenKind.BLUE_SCREEN
    assert kind(screens.stop_screen(face=False))[0] is not ScreenKind.BLUE_SCREEN
    assert kind(screens.recovery())[0] is ScreenKind.BOOT_ERROR


def test_the_figures_are_said() -> None:
    found = read_screenshot(bmp(screens.stop_screen()))
    assert "is the colour #0078d7" in found.why[0]
    assert "huge signs at the upper left" in found.why[2]
    assert found.shown == "Windows' blue stop screen"
    assert read_screenshot(bmp(screens.logo())).shown.endswith("perhaps")


def test_words_are_kept_and_made_fit_to_be_shown() -> None:
    assert read_screenshot(bmp(Screen()), "Recovery\n\n0xc000000e\x1b[31m\u202e").text == "Recovery\n0xc000000e[31m"


# -- the files ---------------------------------------------------------------------------------------------------------

FORMATS: dict[str, Callable[[Screen], bytes]] = {
    "BMP 24": bmp,
    "BMP 24 top-down": lambda screen: bmp(screen, top_down=True),
    "BMP 32": lambda screen: bmp(screen, 32),
    "BMP 32 top-down": lambda screen: bmp(screen, 32, top_down=True),
    "BMP 16": lambda screen: bmp(screen, 16),
    "BMP 8": lambda screen: bmp(screen, 8),
    "PNG RGB": png,
    "PNG RGBA": lambda screen: png(screen, 6),
    "PNG palette": lambda screen: png(screen, 3),
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_format_does_not_matter(name: str) -> None:
    for screen in (screens.old_stop_screen(), screens.boot_manager()):
        expected, found = read_screenshot(bmp(screen)), read_screenshot(FORMATS[name](screen))
        assert (found.kind, found.sure, found.why[1:]) == (expected.kind, expected.sure, expected.why[1:])


@pytest.mark.parametrize("colour_type", [0, 4])
def test_a_grey_png_has_shapes_and_no_blue(colour_type: int) -> None:
    assert read_screenshot(png(screens.linux_boot(), colour_type)).kind is ScreenKind.TEXT
    assert read_screenshot(png(screens.recovery(), colour_type)).kind is ScreenKind.UNKNOWN


@pytest.mark.parametrize("way", [0, 1, 2, 3, 4])
def test_each_filter_of_a_png_gives_the_pixels_back(way: int) -> None:
    from azext_vmagent.facts.picture import read_picture

    screen = Screen(width=61, height=17).noise()
    expected = [[red << 16 | green << 8 | blue for red, green, blue in row] for row in screen.rows]
    for colour_type in (2, 6):
        assert [list(row) for row in read_picture(png(screen, colour_type, [way])).rows] == expected
    assert [list(row) for row in read_picture(bmp(screen)).rows] == expected


def test_a_packed_palette_is_read() -> None:
    """Two bits a pixel, as image editors save a screen of four colours."""
    lines = [bytes([0]) + bytes([0b00011011] * 10) for _ in range(8)]
    data = b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", 40, 8, 2, 3, 0, 0, 0)),
            chunk(b"PLTE", bytes([0, 0, 0, 170, 0, 0, 0, 170, 0, 255, 255, 255])),
            chunk(b"IDAT", zlib.compress(b"".join(lines))),
        )
    )
    from azext_vmagent.facts.picture import read_picture

    assert list(read_picture(data).rows[0][:4]) == [0, 0xAA0000, 0x00AA00, 0xFFFFFF]


# -- hostile files -----------------------------------------------------------------------------------------------------


def bmp_header(width: int, height: int, bits: int = 24, compression: int = 0) -> bytes:
    return (
        b"BM"
        + struct.pack("<IHHI", 0, 0, 0, 54)
        + struct.pack("<IiiHHIIiiII", 40, width, height, 1, bits, compression, 0, 0, 0, 0, 0)
    )


def png_header(width: int, height: int, bits: int = 8, colour_type: int = 2, interlaced: int = 0) -> bytes:
    return b"\x89PNG\r\n\x1a\n" + chunk(
        b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, interlaced)
    )


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"<?xml version='1.0'?><Error/>", "neither a BMP nor a PNG"),
        (b"BM", "header is cut off"),
        (b"\x89PNG\r\n\x1a\n", "header is cut off"),
        (bmp_header(0, 5), "size is 0 x 5"),
        (bmp_header(9000, 9000), "size is 9000 x 9000"),
        (bmp_header(1024, -(2**31)), "size is"),
        (bmp_header(1024, 768), "cut off: 54 of"),
        (bmp_header(1024, 768, 8, 1), "compression is 1"),
        (bmp_header(4, 4, 64) + bytes(200), "64 bits a pixel"),
        (bmp(Screen())[:100_000], "cut off: 100000 of 2359350"),
        (png_header(20_000, 20_000), "size is 20000 x 20000"),
        (png_header(8192, 8192, 8, 6), "too large to be read"),
        (png_header(640, 480, interlaced=1), "interlaced"),
        (png_header(640, 480, bits=16), "with 16 bits"),
        (png_header(640, 480) + chunk(b"IDAT", zlib.compress(bytes(1000))), "cut off: 1000 of"),
        (png_header(640, 480) + chunk(b"IDAT", b"nonsense"), "do not unpack"),
        (png_header(4, 4) + chunk(b"IDAT", zlib.compress(bytes([9] * 52))), "unknown filter"),
        (b"BM" + bytes(40 * 1024 * 1024), "too many"),
    ],
)
def test_what_cannot_be_read_says_why(data: bytes, words: str) -> None:
    found = read_screenshot(data)
    assert found.kind is ScreenKind.NOT_READABLE
    assert words in found.why[0]


def test_a_png_that_unpacks_to_gigabytes_is_unpacked_no_further_than_needed() -> None:
    bomb = zlib.compressobj(9)
    packed = b"".join([bomb.compress(bytes(1024 * 1024)) for _ in range(300)]) + bomb.flush()
    began = time.process_time()
    found = read_screenshot(png_header(64, 64) + chunk(b"IDAT", packed))
    assert found.kind is ScreenKind.BLACK
    assert time.process_time() - began < 0.5


def checkered() -> Screen:
    """As many pieces as can be: four kept pixels for each."""
    screen = Screen()
    for top in range(0, screen.height, 4):
        for left in range(0, screen.width, 4):
            screen.box(left, top, 2, 2)
    return screen


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(bmp(screens.linux_boot()), id="text"),
        pytest.param(bmp(Screen().noise()), id="noise"),
        pytest.param(png(screens.linux_boot(), 6, [4]), id="PNG of the slowest filter"),
        pytest.param(bmp(checkered()), id="pixels that alternate"),
    ],
)
def test_a_screen_takes_well_under_a_second(data: bytes) -> None:
    began = time.process_time()
    read_screenshot(data)
    assert time.process_time() - began < 1.5


@given(st.binary(max_size=200), st.integers(0, 300), st.sampled_from(["bmp", "bmp8", "png", "png3"]))
def test_never_raises_on_any_bytes(noise: bytes, at: int, form: str) -> None:
    screen = Screen(width=24, height=16).text(0, 0, 5, height=12)
    whole = {"bmp": bmp(screen), "bmp8": bmp(screen, 8), "png": png(screen), "png3": png(screen, 3)}[form]
    read_screenshot(noise)
    read_screenshot(whole[:at] + noise + whole[at + len(noise) :])


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32))
def test_never_raises_on_any_pixels(width: int, height: int, seed: int) -> None:
    import random

    pick = random.Random(seed)
    screen = Screen(width=width, height=height)
    for row in screen.rows:
        row[:] = [pick.choice([(0, 0, 0), (255, 255, 255), (0, 120, 215), (3, 3, 3)]) for _ in row]
    assert read_screenshot(bmp(screen)).width == width


# -- among the facts ---------------------------------------------------------------------------------------------------


def test_the_step_line_says_what_is_shown_and_where_it_is_saved() -> None:
    from azext_vmagent.facts.reading import SCREENSHOT, told
    from azext_vmagent.facts.screenshot import Screenshot
    from azext_vmagent.model import Answer, State

    seen = Screenshot(bmp(screens.old_stop_screen()), path="/home/u/.azure/vmagent/web-03.bmp")
    answer = told(Answer(SCREENSHOT, State.OK, "", seen))
    assert answer.detail == "Windows' blue stop screen; saved as /home/u/.azure/vmagent/web-03.bmp"
    assert told(Answer(SCREENSHOT, State.OK, "", Screenshot(b"GIF89a"))).detail == "a picture that could not be read"
