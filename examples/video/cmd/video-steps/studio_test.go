package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func environment(pairs map[string]string) func(string) string {
	return func(name string) string { return pairs[name] }
}

func TestStudioFromEnvironment(t *testing.T) {
	t.Parallel()
	got, err := studioFrom(environment(nil))
	if want := (studio{ffmpeg: "ffmpeg", cropSize: 160}); err != nil || got != want {
		t.Errorf("got %+v, %v, want the defaults %+v", got, err, want)
	}
	got, err = studioFrom(environment(map[string]string{"VIDEO_DATA": "d", "VIDEO_FFMPEG": "f", "VIDEO_CALL_LOG": "c", "CROP_SIZE": "64"}))
	if want := (studio{data: "d", ffmpeg: "f", callLog: "c", cropSize: 64}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, size := range []string{"0", "-2", "63", "5000", "big", "64; rm"} {
		if _, err := studioFrom(environment(map[string]string{"CROP_SIZE": size})); err == nil || !strings.Contains(err.Error(), "CROP_SIZE") {
			t.Errorf("CROP_SIZE %q: got %v, want an error that names it", size, err)
		}
	}
}

func TestSourceStaysInsideTheDataFolder(t *testing.T) {
	t.Parallel()
	s := studio{data: t.TempDir()}
	for _, path := range []string{"../secret.mp4", "/etc/passwd", "a/../../b", ""} {
		if file, err := s.source(path); err == nil {
			t.Errorf("path %q gives %q, want an error", path, file)
		}
	}
	got, err := s.source("videos/-y 'odd\" name.mp4")
	if want := filepath.Join(s.data, "videos", "-y 'odd\" name.mp4"); err != nil || got != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := (studio{}).source("a"); err == nil || !strings.Contains(err.Error(), "VIDEO_DATA") {
		t.Errorf("without a data folder: got %v, want an error that names VIDEO_DATA", err)
	}
}

func TestProduceLeavesNothingBehindWhenWritingFails(t *testing.T) {
	t.Parallel()
	s := studio{data: t.TempDir()}
	stored, err := s.produce(crop, "v1", "17", ".txt", func(file string) error { return os.WriteFile(file, []byte("done"), 0o644) })
	if want := "results/video__crop/v1/17.txt"; err != nil || stored != want {
		t.Fatalf("got %q, %v, want %q", stored, err, want)
	}
	broken := errors.New("broken")
	_, err = s.produce(crop, "v1", "18", ".txt", func(file string) error {
		if err := os.WriteFile(file, []byte("half"), 0o644); err != nil {
			t.Fatal(err)
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
	left, err := filepath.Glob(filepath.Join(s.data, "results", "video__crop", "v1", "*"))
	if err != nil || len(left) != 1 || filepath.Base(left[0]) != "17.txt" {
		t.Errorf("files %v, %v, want only 17.txt", left, err)
	}
	if _, err := s.produce(crop, "../../..", "1", ".txt", func(string) error { return nil }); err == nil {
		t.Error("an id that leaves the data folder is accepted")
	}
}

func TestNoteCountsCalls(t *testing.T) {
	t.Parallel()
	s := studio{callLog: filepath.Join(t.TempDir(), "calls")}
	for _, id := range []string{"a", "b"} {
		if err := s.note(crop, id); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(s.callLog)
	if want := "video/crop\ta\nvideo/crop\tb\n"; err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}
