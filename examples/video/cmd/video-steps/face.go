package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"os"
	"strconv"
)

// framesPerSecond is how many frames of each second are searched for a face.
const framesPerSecond = 4

// smallestFace is the least part of a frame's pixels that a face has.
const smallestFace = 1.0 / 500

var errNoFace = errors.New("no skin-coloured region is large enough to be a face")

// A croppedFrames is a sample of video/face_crop before it is computed.
type croppedFrames struct {
	ID      string `arrow:"id"`
	Path    string `arrow:"path"`
	Width   int64  `arrow:"width"`
	Height  int64  `arrow:"height"`
	Version string `arrow:"metaxy_data_version"`
}

// A faceRow is a row of video/face_crop: a picture, and where in the crop it was.
type faceRow struct {
	ID     string `arrow:"id"`
	Path   string `arrow:"path"`
	Frame  int64  `arrow:"frame"`
	X      int64  `arrow:"x"`
	Y      int64  `arrow:"y"`
	Width  int64  `arrow:"width"`
	Height int64  `arrow:"height"`
}

// cropFace saves the largest face-like region of all frames as a PNG picture.
func (s studio) cropFace(ctx context.Context, v croppedFrames) (faceRow, error) {
	none := faceRow{}
	if err := s.note(faceCrop, v.ID); err != nil {
		return none, err
	}
	source, err := s.source(v.Path)
	if err != nil {
		return none, err
	}
	var best sighting
	err = s.stream(ctx, func(r io.Reader) error {
		best, err = findFace(r, int(v.Width), int(v.Height))
		return err
	}, "-i", "file:"+source, "-map", "0:v:0", "-r", strconv.Itoa(framesPerSecond), "-f", "rawvideo", "-pix_fmt", "rgba", "-")
	if err != nil {
		return none, err
	}
	stored, err := s.produce(faceCrop, v.ID, v.Version, ".png", func(file string) error { return writePNG(file, best.picture()) })
	box := best.region.box
	return faceRow{
		ID: v.ID, Path: stored, Frame: int64(best.frame),
		X: int64(box.Min.X), Y: int64(box.Min.Y), Width: int64(box.Dx()), Height: int64(box.Dy()),
	}, err
}

// A sighting is a region in one of the frames.
type sighting struct {
	frame  int
	image  *image.RGBA
	region region
}

// picture is the part of the frame inside the region's box.
func (s sighting) picture() image.Image { return s.image.SubImage(s.region.box) }

// findFace reads raw RGBA frames and returns the largest skin-coloured region; of equal ones, the first.
func findFace(r io.Reader, width, height int) (sighting, error) {
	if width <= 0 || height <= 0 {
		return sighting{}, fmt.Errorf("frames of %dx%d pixels: expected positive numbers", width, height)
	}
	best := sighting{}
	buffer := image.NewRGBA(image.Rect(0, 0, width, height))
	for frame := 0; ; frame++ {
		if _, err := io.ReadFull(r, buffer.Pix); err == io.EOF {
			break
		} else if err != nil {
			return sighting{}, fmt.Errorf("read frame %d: %w", frame, err)
		}
		if found := largestRegion(buffer, isSkin); found.pixels > best.region.pixels {
			kept := *buffer
			kept.Pix = append([]byte(nil), buffer.Pix...)
			best = sighting{frame: frame, image: &kept, region: found}
		}
	}
	if float64(best.region.pixels) < smallestFace*float64(width*height) || best.image == nil {
		return sighting{}, errNoFace
	}
	return best, nil
}

func writePNG(file string, picture image.Image) error {
	out, err := os.Create(file)
	if err != nil {
		return err
	}
	if err := png.Encode(out, picture); err != nil {
		out.Close()
		return err
	}
	return out.Close()
}
