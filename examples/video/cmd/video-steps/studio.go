package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

// A studio is where videos are worked on.
type studio struct {
	data     string // folder of all media; "" is reported when a sample needs it
	ffmpeg   string
	cropSize int    // width and height of crops in pixels
	callLog  string // file that gets a line for each call; "" means none
}

// studioFrom reads the settings from the environment.
func studioFrom(getenv func(string) string) (studio, error) {
	s := studio{data: getenv("VIDEO_DATA"), ffmpeg: getenv("VIDEO_FFMPEG"), callLog: getenv("VIDEO_CALL_LOG"), cropSize: 160}
	if s.ffmpeg == "" {
		s.ffmpeg = "ffmpeg"
	}
	if text := getenv("CROP_SIZE"); text != "" {
		size, err := strconv.Atoi(text)
		if err != nil || size < 16 || size > 4096 || size%2 != 0 {
			return s, fmt.Errorf("CROP_SIZE is %q: expected an even number of pixels from 16 to 4096", text)
		}
		s.cropSize = size
	}
	return s, nil
}

// source returns the file of a stored path, which must stay inside the data folder.
func (s studio) source(stored string) (string, error) {
	if s.data == "" {
		return "", fmt.Errorf("VIDEO_DATA is not set: expected the folder that holds the videos")
	}
	if !filepath.IsLocal(stored) {
		return "", fmt.Errorf("path %q leaves the data folder", stored)
	}
	return filepath.Abs(filepath.Join(s.data, stored))
}

// produce calls write with the name of a file to create, and moves the file to its place when write succeeds. The place
// holds the data version, so that a changed sample gets a file of its own and old rows keep theirs. It returns the path
// to store.
func (s studio) produce(key feature.Key, id, version, extension string, write func(file string) error) (string, error) {
	stored := filepath.Join("results", key.Table(), id, version+extension)
	file, err := s.source(stored)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return "", err
	}
	scratch, err := os.MkdirTemp(filepath.Dir(file), ".partial-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	partial := filepath.Join(scratch, "result"+extension)
	if err := write(partial); err != nil {
		return "", err
	}
	return filepath.ToSlash(stored), os.Rename(partial, file)
}

// note adds a line to the call log.
func (s studio) note(key feature.Key, id string) error {
	if s.callLog == "" {
		return nil
	}
	file, err := os.OpenFile(s.callLog, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(file, "%s\t%s\n", key, id); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}
