"""Forms of audio that speech endpoints answer with: WAV and raw samples of any kind, and what cannot be read."""

from __future__ import annotations

import io
import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.endpoints.audio_client import AudioReply
from offline.endpoints.errors import EndpointError, EndpointFault
from offline.endpoints.speech_client import decode_speech
from offline.wav import SampleFormat, SampleKind, parse_wav, to_session_pcm, wav_file

PCM = np.arange(-1000, 1000, dtype="<i2").tobytes()


def sine(frequency: float, rate: int, seconds: float = 0.25) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(int(rate * seconds)) / rate)


def encode(samples: np.ndarray, kind: SampleKind, channels: int = 1) -> bytes:
    """Return the sine in each of the channels."""
    frames = np.repeat(samples, channels)
    match kind:
        case SampleKind.UNSIGNED_8:
            return (frames * 127 + 128).astype("u1").tobytes()
        case SampleKind.INT_16:
            return (frames * 32767).astype("<i2").tobytes()
        case SampleKind.INT_24:
            return (frames * (2**23 - 1)).astype("<i4").view("u1").reshape(-1, 4)[:, :3].tobytes()
        case SampleKind.INT_32:
            return (frames * (2**31 - 1)).astype("<i4").tobytes()
        case SampleKind.FLOAT_32:
            return frames.astype("<f4").tobytes()
        case SampleKind.FLOAT_64:
            return frames.astype("<f8").tobytes()


WIDTHS = {
    SampleKind.UNSIGNED_8: 1,
    SampleKind.INT_16: 2,
    SampleKind.INT_24: 3,
    SampleKind.INT_32: 4,
    SampleKind.FLOAT_32: 4,
    SampleKind.FLOAT_64: 8,
}


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    """Return a chunk; one that was streamed, with a `size` that is not its own, is not padded."""
    if size is not None:
        return struct.pack("<4sI", name, size) + body
    return struct.pack("<4sI", name, len(body)) + body + b"\0" * (len(body) % 2)


def wav(sample_format: SampleFormat, data: bytes, *, size: int | None = None, extensible: bool = False) -> bytes:
    """Return a WAV file; `size` is what its header says of the data."""
    tag, width = 3 if "float" in sample_format.kind.value else 1, WIDTHS[sample_format.kind]
    block = width * sample_format.channels
    head = struct.pack(
        "<HHIIHH",
        0xFFFE if extensible else tag,
        sample_format.channels,
        sample_format.rate,
        block * sample_format.rate,
        block,
        8 * width,
    )
    if extensible:
        head += struct.pack("<HHIH", 22, 8 * width, 3, tag) + bytes.fromhex("000000001000800000aa00389b71")
    chunks = chunk(b"fmt ", head) + chunk(b"LIST", b"INFOx") + chunk(b"data", data, size)
    return struct.pack("<4sI4s", b"RIFF", 0xFFFFFFFF if size is not None else 4 + len(chunks), b"WAVE") + chunks


def frequency_of(pcm: bytes) -> float:
    samples = np.frombuffer(pcm, "<i2")
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 17))
    return float(spectrum.argmax() * 24_000 / (1 << 17))


def decode(body: bytes, content_type: str = "") -> bytes:
    return decode_speech(AudioReply(body, content_type), "a:1")


@given(
    rate=st.integers(8_000, 96_000),
    channels=st.integers(1, 2),
    kind=st.sampled_from(SampleKind),
    frequency=st.integers(200, 3_000),
    extensible=st.booleans(),
    size=st.sampled_from([None, 0, 0xFFFFFFFF, 0x7FFFFFFF]),
)
def test_wav_of_any_form_keeps_its_length_and_pitch(
    rate: int, channels: int, kind: SampleKind, frequency: int, extensible: bool, size: int | None
) -> None:
    sound = sine(frequency, rate)
    body = wav(SampleFormat(rate, channels, kind), encode(sound, kind, channels), size=size, extensible=extensible)
    pcm = decode(body, "audio/wav")
    assert abs(len(pcm) / 2 - len(sound) * 24_000 / rate) <= 2
    assert frequency_of(pcm) == pytest.approx(frequency, abs=2)
    assert 0.4 < np.abs(np.frombuffer(pcm, "<i2")).max() / 32768 < 0.6


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(PCM, "audio/pcm", id="raw"),
        pytest.param(PCM, "", id="raw without a type"),
        pytest.param(PCM, "audio/mpeg", id="raw with a wrong type"),
        pytest.param(PCM + b"\x07", "audio/pcm", id="odd byte at the end"),
        pytest.param(PCM, "audio/l16; rate=24000; channels=1", id="L16"),
        pytest.param(PCM, "audio/pcm;rate=24000", id="rate"),
        pytest.param(wav_file(PCM, 24_000), "audio/pcm", id="WAV in place of PCM"),
        pytest.param(wav(SampleFormat(), PCM) + chunk(b"LIST", b"INFO"), "audio/wav", id="chunk after the samples"),
        pytest.param(wav(SampleFormat(), PCM, size=len(PCM) + 100), "audio/wav", id="size beyond the end"),
        pytest.param(b"RF64" + wav(SampleFormat(), PCM, size=0xFFFFFFFF)[4:], "audio/wav", id="RF64"),
    ],
)
def test_audio_at_24_khz_is_passed_on_unchanged(body: bytes, content_type: str) -> None:
    assert decode(body, content_type) == PCM


@pytest.mark.parametrize("content_type", ["audio/l16;rate=16000", "audio/pcm; rate=16000; channels=1"])
def test_raw_samples_are_read_at_the_rate_of_their_type(content_type: str) -> None:
    pcm = decode(encode(sine(440, 16_000), SampleKind.INT_16), content_type)
    assert abs(len(pcm) // 2 - 6000) <= 2
    assert frequency_of(pcm) == pytest.approx(440, abs=2)


def test_channels_are_averaged() -> None:
    left_and_right = np.array([[1000, 3000]] * 500, "<i2").tobytes()
    pcm = to_session_pcm(SampleFormat(24_000, 2), left_and_right)
    assert np.allclose(np.frombuffer(pcm, "<i2"), 2000, atol=1)


def test_float_samples_out_of_range_are_clipped() -> None:
    samples = np.array([np.nan, np.inf, -np.inf, 9.0], "<f4").tobytes()
    pcm = to_session_pcm(SampleFormat(kind=SampleKind.FLOAT_32), samples)
    assert np.frombuffer(pcm, "<i2").tolist() == [0, 32767, -32767, 32767]


def test_written_wav_file_is_read_by_the_standard_library() -> None:
    with wave.open(io.BytesIO(wav_file(PCM, 16_000))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        assert file.readframes(file.getnframes()) == PCM
    assert parse_wav(wav_file(PCM, 16_000)) == (SampleFormat(16_000), PCM)


@given(st.binary(max_size=200))
def test_damaged_wav_is_read_or_refused_in_one_sentence(tail: bytes) -> None:
    for body in (b"RIFF" + tail, wav(SampleFormat(), PCM)[:40] + tail):
        try:
            pcm = decode(body, "audio/wav")
        except EndpointError as error:
            assert error.fault in (EndpointFault.MALFORMED, EndpointFault.EMPTY) and str(error).endswith(".")
        else:
            assert len(pcm) % 2 == 0


MP3_FRAME = b"\xff\xfb\x90\x64" + bytes(413)


@pytest.mark.parametrize(
    ("body", "content_type", "fault", "words"),
    [
        (MP3_FRAME, "audio/mpeg", EndpointFault.MALFORMED, "answers with MP3: set a server that gives PCM or WAV."),
        (b"ID3\x04" + bytes(99), "", EndpointFault.MALFORMED, "answers with MP3"),
        (b"OggS" + bytes(99), "audio/pcm", EndpointFault.MALFORMED, "answers with Ogg"),
        (b"fLaC" + bytes(99), "", EndpointFault.MALFORMED, "answers with FLAC"),
        (b"\0\0\0\x20ftypM4A " + bytes(99), "", EndpointFault.MALFORMED, "answers with MP4"),
        (b"RIFF\0\0\0\0WAVE", "audio/wav", EndpointFault.MALFORMED, "The WAV of a:1 cannot be read"),
        (b"<!DOCTYPE html><p>hi", "", EndpointFault.MALFORMED, "web page"),
        (b"<p>hi", "text/html", EndpointFault.MALFORMED, "web page"),
        (b'{"audio": "AAAA"}', "application/json", EndpointFault.MALFORMED, "text in place of audio"),
        (b'{"error": {"message": "x", "code": 429}}', "", EndpointFault.RATE_LIMITED, "too many requests"),
        (b'{"error": "boom"}', "application/json", EndpointFault.SERVER_ERROR, "an error of its own"),
        (b'{"detail": "boom"}', "application/json", EndpointFault.SERVER_ERROR, "an error of its own"),
        (PCM, "audio/pcm;rate=1", EndpointFault.MALFORMED, "impossible format"),
        (PCM, "audio/l16;rate=fast", EndpointFault.MALFORMED, "impossible format"),
        (b"", "audio/pcm", EndpointFault.EMPTY, "without audio"),
        (b"\x01", "audio/pcm", EndpointFault.EMPTY, "without audio"),
    ],
)
def test_answer_that_is_no_audio_is_named(body: bytes, content_type: str, fault: EndpointFault, words: str) -> None:
    with pytest.raises(EndpointError, match="a:1") as caught:
        decode(body, content_type)
    assert caught.value.fault is fault and words in str(caught.value)


@pytest.mark.parametrize("first", [0, -1, 1, -2, 255, -256, -257])
def test_near_silence_is_not_taken_for_mp3(first: int) -> None:
    quiet = np.array([first, -1, 0, 1, -1, -1], "<i2").tobytes()
    assert decode(quiet) == quiet
