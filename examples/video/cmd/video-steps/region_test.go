package main

import (
	"image"
	"image/color"
	"testing"
)

var (
	skin = color.RGBA{224, 172, 140, 255}
	grey = color.RGBA{120, 120, 120, 255}
)

func paint(width, height int, boxes ...image.Rectangle) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetRGBA(x, y, grey)
			for _, box := range boxes {
				if image.Pt(x, y).In(box) {
					m.SetRGBA(x, y, skin)
				}
			}
		}
	}
	return m
}

func TestLargestRegion(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		boxes []image.Rectangle
		want  region
	}{
		{"none", nil, region{}},
		{"one", []image.Rectangle{image.Rect(3, 4, 8, 10)}, region{30, image.Rect(3, 4, 8, 10)}},
		{"the larger", []image.Rectangle{image.Rect(0, 0, 2, 2), image.Rect(10, 10, 14, 13)}, region{12, image.Rect(10, 10, 14, 13)}},
		{"the first of equals", []image.Rectangle{image.Rect(9, 9, 11, 11), image.Rect(1, 1, 3, 3)}, region{4, image.Rect(1, 1, 3, 3)}},
		{"corners do not touch", []image.Rectangle{image.Rect(0, 0, 2, 2), image.Rect(2, 2, 5, 5)}, region{9, image.Rect(2, 2, 5, 5)}},
		{"overlapping boxes are one", []image.Rectangle{image.Rect(0, 0, 4, 4), image.Rect(2, 2, 6, 6)}, region{28, image.Rect(0, 0, 6, 6)}},
		{"the edges of the frame", []image.Rectangle{image.Rect(0, 0, 20, 16)}, region{320, image.Rect(0, 0, 20, 16)}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := largestRegion(paint(20, 16, test.boxes...), isSkin); got != test.want {
				t.Errorf("got %+v, want %+v", got, test.want)
			}
		})
	}
}

func TestSkinIsTold(t *testing.T) {
	t.Parallel()
	for _, c := range []color.RGBA{skin, {120, 80, 60, 255}} {
		if !isSkin(c) {
			t.Errorf("%v is not taken for skin", c)
		}
	}
	for _, c := range []color.RGBA{grey, {0, 0, 255, 255}, {255, 255, 255, 255}, {0, 0, 0, 255}, {200, 210, 100, 255}} {
		if isSkin(c) {
			t.Errorf("%v is taken for skin", c)
		}
	}
}
