package bucket_test

import (
	"os"
	"testing"

	"github.com/metaxy-pipes/metaxy-pipes/internal/miniotest"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket"
	"github.com/metaxy-pipes/metaxy-pipes/store/s3parquet/bucket/buckettest"
)

var minio miniotest.Lazy

func TestMain(m *testing.M) { os.Exit(miniotest.Main(m, &minio)) }

func TestDir(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, func(t *testing.T) bucket.Bucket {
		b, err := bucket.OpenDir(t.TempDir() + "/not/there yet")
		if err != nil {
			t.Fatal(err)
		}
		return b
	})
}

func TestMemory(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, func(*testing.T) bucket.Bucket { return &buckettest.Memory{} })
}

func TestS3(t *testing.T) {
	t.Parallel()
	buckettest.Run(t, func(t *testing.T) bucket.Bucket { return openS3(t, "a pre/fix") })
}

// openS3 returns a new bucket on MinIO.
func openS3(t *testing.T, prefix string) bucket.Bucket {
	t.Helper()
	server, name := minio.Bucket(t)
	b, err := bucket.OpenS3(t.Context(), name, prefix, bucket.S3Options{
		Endpoint: server.Endpoint, AccessKeyID: server.AccessKeyID, SecretAccessKey: server.SecretAccessKey,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}
