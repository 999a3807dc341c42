package main

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// A sound is a sample of audio/loudness before it is computed.
type sound struct {
	ID   string `arrow:"id"`
	Path string `arrow:"path"`
}

// A loudnessRow is a row of audio/loudness.
type loudnessRow struct {
	ID         string  `arrow:"id"`
	Integrated float64 `arrow:"integrated_lufs"`
	Range      float64 `arrow:"range_lu"`
	Peak       float64 `arrow:"peak_dbfs"`
}

// measureLoudness measures the sound of a crop by EBU R 128.
func (s studio) measureLoudness(ctx context.Context, v sound) (loudnessRow, error) {
	none := loudnessRow{}
	if err := s.note(loudness, v.ID); err != nil {
		return none, err
	}
	source, err := s.source(v.Path)
	if err != nil {
		return none, err
	}
	said, err := s.run(ctx, "-nostats", "-i", "file:"+source, "-map", "0:a:0", "-af", "ebur128=framelog=quiet:peak=true",
		"-f", "null", "-")
	if err != nil {
		return none, err
	}
	row, err := parseLoudness(said)
	row.ID = v.ID
	return row, err
}

var loudnessValue = regexp.MustCompile(`(?m)^\s+(I|LRA|Peak):\s+(-?[0-9.]+|-inf) (?:LUFS|LU|dBFS)\s*$`)

// parseLoudness reads the summary that ffmpeg's ebur128 filter prints at the end.
func parseLoudness(said string) (loudnessRow, error) {
	_, summary, found := strings.Cut(said, "Summary:")
	values := map[string]float64{}
	for _, match := range loudnessValue.FindAllStringSubmatch(summary, -1) {
		value, err := strconv.ParseFloat(match[2], 64)
		if err != nil {
			return loudnessRow{}, fmt.Errorf("read loudness %s: %w", match[1], err)
		}
		values[match[1]] = value
	}
	if !found || len(values) != 3 {
		return loudnessRow{}, fmt.Errorf("read loudness: ffmpeg printed no complete ebur128 summary")
	}
	return loudnessRow{Integrated: values["I"], Range: values["LRA"], Peak: values["Peak"]}, nil
}
