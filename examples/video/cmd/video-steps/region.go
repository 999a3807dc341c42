package main

import (
	"image"
	"image/color"
)

// A region is a set of neighbouring pixels that look alike.
type region struct {
	pixels int
	box    image.Rectangle
}

// isSkin is the usual rule for skin in daylight: red above green above blue, with a clear distance.
func isSkin(c color.RGBA) bool {
	low, high := min(c.R, c.G, c.B), max(c.R, c.G, c.B)
	return c.R > 95 && c.G > 40 && c.B > 20 && high-low > 15 && c.R > c.G && c.G > c.B && c.R-c.G > 15
}

// largestRegion returns the largest region whose pixels are all wanted and touch each other by a side. Of equal ones it
// is the first, from the top left.
func largestRegion(m *image.RGBA, wanted func(color.RGBA) bool) region {
	width, height := m.Rect.Dx(), m.Rect.Dy()
	open := make([]bool, width*height) // wanted pixels that no region has yet
	for i := range open {
		p := m.Pix[i/width*m.Stride+i%width*4:]
		open[i] = wanted(color.RGBA{p[0], p[1], p[2], p[3]})
	}
	var largest region
	var border []int
	for start := range open {
		if !open[start] {
			continue
		}
		open[start] = false
		found := region{}
		for border = append(border[:0], start); len(border) > 0; {
			i := border[len(border)-1]
			border = border[:len(border)-1]
			x, y := i%width, i/width
			found.pixels++
			found.box = found.box.Union(image.Rect(x, y, x+1, y+1))
			for _, n := range neighbours(x, y, width, height) {
				if n >= 0 && open[n] {
					open[n] = false
					border = append(border, n)
				}
			}
		}
		if found.pixels > largest.pixels {
			largest = found
		}
	}
	return largest
}

// neighbours returns the indices of the four pixels beside (x, y), -1 for those outside.
func neighbours(x, y, width, height int) [4]int {
	out := [4]int{-1, -1, -1, -1}
	i := y*width + x
	if x > 0 {
		out[0] = i - 1
	}
	if x < width-1 {
		out[1] = i + 1
	}
	if y > 0 {
		out[2] = i - width
	}
	if y < height-1 {
		out[3] = i + width
	}
	return out
}
