package xfrm

import "testing"

func BenchmarkDecodeSA(b *testing.B) {
	payload := sampleSA()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeSA(payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodePolicy(b *testing.B) {
	payload := samplePolicy()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodePolicy(payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodePolicy(b *testing.B) {
	p, err := DecodePolicy(samplePolicy())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		UpdatePolicy(&p)
	}
}

func BenchmarkEncodeMigration(b *testing.B) {
	m := sampleMigration()
	b.ReportAllocs()
	for b.Loop() {
		m.Request()
	}
}
