package s3parquet_test

import (
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/store"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet"
	"github.com/metaxy-pipes/metaxy-pipes/store/storetest"
)

// The suite closes the stores that it opens.

func TestSuiteInFolder(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store {
		s, err := s3parquet.Open(t.Context(), t.TempDir(), s3parquet.Options{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}

func TestSuiteOnMinIO(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) store.Store { return newMinIO(t, s3parquet.Options{}) })
}
