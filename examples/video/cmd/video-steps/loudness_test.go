package main

import (
	"os"
	"testing"
)

func TestParseLoudness(t *testing.T) {
	t.Parallel()
	said, err := os.ReadFile("testdata/ebur128.txt")
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseLoudness(string(said))
	if want := (loudnessRow{Integrated: -20.1, Range: 20, Peak: -3.4}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, text := range []string{"", "Summary:\n", "no summary\n    I:         -19.5 LUFS\n"} {
		if row, err := parseLoudness(text); err == nil {
			t.Errorf("%q gives %+v, want an error", text, row)
		}
	}
}
