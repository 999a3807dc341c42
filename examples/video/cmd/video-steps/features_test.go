package main

import (
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/feature"
)

func TestAnotherSizeReachesFramesOnly(t *testing.T) {
	t.Parallel()
	small, large := features(64), features(128)
	version := func(g *feature.Graph, key feature.Key) *feature.Feature {
		f, err := g.Lookup(key)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for key, changes := range map[feature.Key]bool{full: false, crop: true, faceCrop: true, loudness: false, transcript: false} {
		if got := version(small, key).Version() != version(large, key).Version(); got != changes {
			t.Errorf("feature version of %s changes: %v, want %v", key, got, changes)
		}
	}
	if got, want := version(small, crop).FieldVersion("audio"), version(large, crop).FieldVersion("audio"); got != want {
		t.Errorf("field version of the crop's audio changes from %s to %s", got, want)
	}
	if version(small, crop).FieldVersion("frames") == version(large, crop).FieldVersion("frames") {
		t.Error("field version of the crop's frames does not change")
	}
}
