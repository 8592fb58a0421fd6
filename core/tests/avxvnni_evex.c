/* The kernel of products_avxvnni.c with VPDPBUSD as AVX-512 encodes it, for processors without AVX-VNNI. */
#define products_avxvnni products_avxvnni_evex
#include "../src/products_avxvnni.c"
