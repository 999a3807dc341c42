"""Speech from text, by espeak-ng's library through ctypes."""

from __future__ import annotations

import ctypes
import wave
from pathlib import Path

import espeakng_loader

SYNCHRONOUS = 2  # AUDIO_OUTPUT_SYNCHRONOUS: samples go to the callback, and no sound card is needed
PARAMETER_RATE = 1  # espeakRATE: words per minute
UTF8 = 1  # espeakCHARS_UTF8

_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Speaker:
    """A voice. One per process, because espeak-ng keeps its state in the library."""

    def __init__(self, voice: str = "en-us", words_per_minute: int = 140) -> None:
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.sample_rate: int = self._library.espeak_Initialize(SYNCHRONOUS, 0, data, 0)
        if self.sample_rate <= 0:
            raise RuntimeError(f"espeak-ng did not start with its data in {data.decode()}")
        self._samples = bytearray()
        self._callback = _Callback(self._collect)
        self._library.espeak_SetSynthCallback(self._callback)
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise RuntimeError(f"espeak-ng has no voice {voice!r}")
        self._library.espeak_SetParameter(PARAMETER_RATE, words_per_minute, 0)
        self._library.espeak_Synth.argtypes = [
            ctypes.c_char_p,
            ctypes.c_size_t,
            ctypes.c_uint,
            ctypes.c_int,
            ctypes.c_uint,
            ctypes.c_uint,
            ctypes.c_void_p,
            ctypes.c_void_p,
        ]

    def say(self, sentence: str, path: Path) -> None:
        """Writes the sentence as a mono WAV file of 16 bits."""
        self._samples.clear()
        text = sentence.encode() + b"\0"
        if self._library.espeak_Synth(text, len(text), 0, 1, 0, UTF8, None, None) != 0:
            raise RuntimeError(f"espeak-ng could not speak {sentence!r}")
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, self.sample_rate, 0, "NONE", "not compressed"))
            file.writeframes(bytes(self._samples))

    def _collect(self, samples: ctypes._Pointer[ctypes.c_short], count: int, _events: int) -> int:
        if samples and count > 0:
            self._samples.extend(ctypes.string_at(samples, count * 2))
        return 0
