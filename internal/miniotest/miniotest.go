// Package miniotest gives tests a real S3 service: a MinIO server of their own.
package miniotest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

// A Server is a running MinIO.
type Server struct {
	Endpoint        string // http://127.0.0.1:port
	AccessKeyID     string
	SecretAccessKey string

	process *exec.Cmd
	dir     string
	buckets sync.Mutex
	made    int
}

var errNone = errors.New("no minio binary in .tools/bin, $MINIO_BINARY or PATH (make minio builds one)")

// Main runs a package's tests with a server that Start begins when the first test asks for it, and ends it after the
// last. It belongs into TestMain: os.Exit(miniotest.Main(m, &server)).
func Main(m *testing.M, l *Lazy) int {
	defer l.stop()
	return m.Run()
}

// Lazy is a server that is started by the first test that needs it. The zero value is ready.
type Lazy struct {
	once   sync.Once
	server *Server
	err    error
}

// Bucket makes a new, empty bucket and returns the server and the bucket's name. Without a MinIO binary the test is
// skipped, or fails when METAXY_REQUIRE_MINIO is 1.
func (l *Lazy) Bucket(t testing.TB) (*Server, string) {
	t.Helper()
	l.once.Do(func() { l.server, l.err = start() })
	if errors.Is(l.err, errNone) && os.Getenv("METAXY_REQUIRE_MINIO") != "1" {
		t.Skip(l.err)
	}
	if l.err != nil {
		t.Fatal(l.err)
	}
	name, err := l.server.newBucket(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return l.server, name
}

func (l *Lazy) stop() {
	if l.server == nil {
		return
	}
	_ = l.server.process.Process.Kill()
	_ = l.server.process.Wait() // the error says that it was killed
	_ = os.RemoveAll(l.server.dir)
}

// start starts a server with credentials of its own and waits until it answers.
func start() (*Server, error) {
	binary, err := find()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "miniotest-")
	if err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s := &Server{Endpoint: "http://" + address, AccessKeyID: "test" + rand.Text()[:12], SecretAccessKey: rand.Text(), dir: dir}
	var output strings.Builder
	s.process = exec.Command(binary, "server", "--quiet", "--address", address, dir)
	s.process.Env = append(os.Environ(), "MINIO_ROOT_USER="+s.AccessKeyID, "MINIO_ROOT_PASSWORD="+s.SecretAccessKey,
		"MINIO_BROWSER=off", "MINIO_UPDATE=off")
	s.process.Stdout, s.process.Stderr = &output, &output
	s.process.SysProcAttr = dieWithParent()
	if err := s.process.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("start minio: %w", err), os.RemoveAll(dir))
	}
	if err := s.wait(); err != nil {
		_ = s.process.Process.Kill()
		_ = s.process.Wait()
		return nil, errors.Join(fmt.Errorf("start minio: %w\n%s", err, output.String()), os.RemoveAll(dir))
	}
	return s, nil
}

// find returns the path of the MinIO binary.
func find() (string, error) {
	if path := os.Getenv("MINIO_BINARY"); path != "" {
		if _, err := os.Stat(path); err != nil {
			return "", fmt.Errorf("MINIO_BINARY: %w", err)
		}
		return path, nil
	}
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			if path := filepath.Join(dir, ".tools", "bin", "minio"); isFile(path) {
				return path, nil
			}
			break
		}
		dir = filepath.Dir(dir)
	}
	if path, err := exec.LookPath("minio"); err == nil {
		return path, nil
	}
	return "", errNone
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// wait polls the server's health until it is well, or a minute is over.
func (s *Server) wait() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint+"/minio/health/ready", nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.New("not ready after a minute")
		case <-tick.C:
		}
	}
}

func (s *Server) newBucket(ctx context.Context) (string, error) {
	s.buckets.Lock()
	s.made++
	name := fmt.Sprintf("test-%d", s.made)
	s.buckets.Unlock()
	client := s3.New(s3.Options{
		BaseEndpoint: &s.Endpoint, Region: "us-east-1", UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(s.AccessKeyID, s.SecretAccessKey, ""),
	})
	if _, err := client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: aws.String(name)}); err != nil {
		return "", fmt.Errorf("make bucket: %w", err)
	}
	return name, nil
}
