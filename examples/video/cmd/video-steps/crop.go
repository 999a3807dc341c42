package main

import (
	"context"
	"fmt"
)

// A fullVideo is a sample of video/crop before it is computed.
type fullVideo struct {
	ID      string `arrow:"id"`
	Path    string `arrow:"path"`
	Version string `arrow:"metaxy_data_version"`
}

// A croppedVideo is a row of video/crop.
type croppedVideo struct {
	ID     string `arrow:"id"`
	Path   string `arrow:"path"`
	Width  int64  `arrow:"width"`
	Height int64  `arrow:"height"`
}

// cropVideo keeps the middle square of each frame at the studio's size. The sound is copied bit by bit.
func (s studio) cropVideo(ctx context.Context, v fullVideo) (croppedVideo, error) {
	none := croppedVideo{}
	if err := s.note(crop, v.ID); err != nil {
		return none, err
	}
	source, err := s.source(v.Path)
	if err != nil {
		return none, err
	}
	filter := fmt.Sprintf(`crop=min(iw\,ih):min(iw\,ih),scale=%d:%d`, s.cropSize, s.cropSize)
	stored, err := s.produce(crop, v.ID, v.Version, ".mp4", func(file string) error {
		_, err := s.run(ctx, "-v", "error", "-i", "file:"+source, "-map", "0:v:0", "-map", "0:a:0", "-vf", filter,
			"-c:v", "libx264", "-preset", "veryfast", "-threads", "1", "-c:a", "copy", "-bitexact", file)
		return err
	})
	size := int64(s.cropSize)
	return croppedVideo{ID: v.ID, Path: stored, Width: size, Height: size}, err
}
