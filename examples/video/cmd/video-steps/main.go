// Command video-steps computes the features of the video example: crops, faces and loudness.
//
// Three variables configure it: VIDEO_DATA is the folder that the paths of samples are relative to and that results
// are written to, VIDEO_FFMPEG the ffmpeg to call (the one on the PATH by default), CROP_SIZE the width and height of
// crops in pixels (160 by default). VIDEO_CALL_LOG, if set, gets a line for each sample that is processed.
package main

import (
	"fmt"
	"os"

	metaxy "github.com/metaxy-pipes/metaxy-pipes"
	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

func main() {
	s, err := studioFrom(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, "video-steps:", err)
		os.Exit(4)
	}
	metaxy.Main(steps(s, features(s.cropSize))...)
}

// steps are the features that this binary has code for. The transcript has none: it is an external processor's.
func steps(s studio, g *feature.Graph) []metaxy.Step {
	return []metaxy.Step{
		{Graph: g, Feature: crop, Process: metaxy.Each(s.cropVideo)},
		{Graph: g, Feature: faceCrop, Process: metaxy.Each(s.cropFace)},
		{Graph: g, Feature: loudness, Process: metaxy.Each(s.measureLoudness)},
	}
}
