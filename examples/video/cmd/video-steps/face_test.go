package main

import (
	"bytes"
	"errors"
	"image"
	"strings"
	"testing"
)

func TestFindFaceTakesTheLargestOfAllFrames(t *testing.T) {
	t.Parallel()
	var frames bytes.Buffer
	for _, box := range []image.Rectangle{image.Rect(0, 0, 4, 4), image.Rect(5, 6, 15, 14), image.Rect(1, 1, 3, 3)} {
		frames.Write(paint(20, 16, box).Pix)
	}
	got, err := findFace(&frames, 20, 16)
	if err != nil {
		t.Fatal(err)
	}
	if want := image.Rect(5, 6, 15, 14); got.frame != 1 || got.region.box != want {
		t.Errorf("got frame %d at %v, want frame 1 at %v", got.frame, got.region.box, want)
	}
	picture := got.picture()
	for y := picture.Bounds().Min.Y; y < picture.Bounds().Max.Y; y++ {
		for x := picture.Bounds().Min.X; x < picture.Bounds().Max.X; x++ {
			if picture.At(x, y) != skin {
				t.Fatalf("pixel %d,%d of the picture is %v, want the face's colour, not a later frame's", x, y, picture.At(x, y))
			}
		}
	}
}

func TestFindFaceWithoutFace(t *testing.T) {
	t.Parallel()
	tests := map[string][]byte{
		"no frames":         nil,
		"no skin":           paint(20, 16).Pix,
		"too small for one": paint(64, 64, image.Rect(0, 0, 2, 2)).Pix,
	}
	for name, frames := range tests {
		width, height := 20, 16
		if len(frames) == 64*64*4 {
			width, height = 64, 64
		}
		if _, err := findFace(bytes.NewReader(frames), width, height); !errors.Is(err, errNoFace) {
			t.Errorf("%s: got %v, want %v", name, err, errNoFace)
		}
	}
}

func TestFindFaceInTornFrames(t *testing.T) {
	t.Parallel()
	if _, err := findFace(strings.NewReader("torn"), 20, 16); err == nil || !strings.Contains(err.Error(), "read frame 0") {
		t.Errorf("got %v, want an error that names the frame", err)
	}
	if _, err := findFace(strings.NewReader(""), 0, 16); err == nil {
		t.Error("a frame without pixels is accepted")
	}
}
