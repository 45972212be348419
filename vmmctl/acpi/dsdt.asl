/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The machine as ACPI describes it. Addresses are those of vmmctl.h, interrupts those of irq.h; the
 * unit test of acpi.c compares them.
 */
DefinitionBlock ("", "DSDT", 2, "VMM", "VMM", 0x00000001)
{
	/* from the generated SSDT: window for 64-bit BARs, length 0 = none */
	External (\M64B, IntObj)
	External (\M64L, IntObj)

	/* SLP_TYPa and SLP_TYPb of soft off */
	Name (\_S5, Package () { 5, 5, 0, 0 })

	/* 0: 8259s, 1: I/O APIC */
	Name (\PICM, 0)
	Method (\_PIC, 1, NotSerialized)
	{
		PICM = Arg0
	}

	Scope (\_SB)
	{
	Device (PCI0)
	{
		/* conventional: nothing behind this bridge has a PCI Express capability */
		Name (_HID, EisaId ("PNP0A03"))
		Name (_UID, 0)
		Name (_SEG, 0)
		Name (_BBN, 0)

		Name (CRSL, ResourceTemplate ()
		{
			WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
				0x0000, 0x0000, 0x0000, 0x0000, 0x0001)
			IO (Decode16, 0x0CF8, 0x0CF8, 0x01, 0x08)
			WordIO (ResourceProducer, MinFixed, MaxFixed, PosDecode, EntireRange,
				0x0000, 0xC000, 0xFFFF, 0x0000, 0x4000)
			DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
				NonCacheable, ReadWrite,
				0x00000000, 0xC0000000, 0xDFFFFFFF, 0x00000000, 0x20000000)
		})
		Name (CRSH, ResourceTemplate ()
		{
			QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
				NonCacheable, ReadWrite,
				0x0, 0x100000000, 0x100000000, 0x0, 0x1, , , WH)
		})
		Method (_CRS, 0, Serialized)
		{
			If (M64L == 0)
			{
				Return (CRSL)
			}
			CreateQWordField (CRSH, \_SB.PCI0.WH._MIN, WMIN)
			CreateQWordField (CRSH, \_SB.PCI0.WH._MAX, WMAX)
			CreateQWordField (CRSH, \_SB.PCI0.WH._LEN, WLEN)
			WMIN = M64B
			WLEN = M64L
			WMAX = M64B + M64L - 1
			Return (ConcatenateResTemplate (CRSL, CRSH))
		}

		/* INTA of slot n: gsi 16 + n % 8; with the 8259s input 10 or 11 */
		Method (_PRT, 0, NotSerialized)
		{
			If (PICM)
			{
				Return (PRTA)
			}
			Return (PRTP)
		}
		Name (PRTA, Package ()
		{
			Package () { 0x0000FFFF, 0, 0, 16 },
			Package () { 0x0001FFFF, 0, 0, 17 },
			Package () { 0x0002FFFF, 0, 0, 18 },
			Package () { 0x0003FFFF, 0, 0, 19 },
			Package () { 0x0004FFFF, 0, 0, 20 },
			Package () { 0x0005FFFF, 0, 0, 21 },
			Package () { 0x0006FFFF, 0, 0, 22 },
			Package () { 0x0007FFFF, 0, 0, 23 },
			Package () { 0x0008FFFF, 0, 0, 16 },
			Package () { 0x0009FFFF, 0, 0, 17 },
			Package () { 0x000AFFFF, 0, 0, 18 },
			Package () { 0x000BFFFF, 0, 0, 19 },
			Package () { 0x000CFFFF, 0, 0, 20 },
			Package () { 0x000DFFFF, 0, 0, 21 },
			Package () { 0x000EFFFF, 0, 0, 22 },
			Package () { 0x000FFFFF, 0, 0, 23 },
			Package () { 0x0010FFFF, 0, 0, 16 },
			Package () { 0x0011FFFF, 0, 0, 17 },
			Package () { 0x0012FFFF, 0, 0, 18 },
			Package () { 0x0013FFFF, 0, 0, 19 },
			Package () { 0x0014FFFF, 0, 0, 20 },
			Package () { 0x0015FFFF, 0, 0, 21 },
			Package () { 0x0016FFFF, 0, 0, 22 },
			Package () { 0x0017FFFF, 0, 0, 23 },
			Package () { 0x0018FFFF, 0, 0, 16 },
			Package () { 0x0019FFFF, 0, 0, 17 },
			Package () { 0x001AFFFF, 0, 0, 18 },
			Package () { 0x001BFFFF, 0, 0, 19 },
			Package () { 0x001CFFFF, 0, 0, 20 },
			Package () { 0x001DFFFF, 0, 0, 21 },
			Package () { 0x001EFFFF, 0, 0, 22 },
			Package () { 0x001FFFFF, 0, 0, 23 }
		})
		Name (PRTP, Package ()
		{
			Package () { 0x0000FFFF, 0, 0, 10 },
			Package () { 0x0001FFFF, 0, 0, 11 },
			Package () { 0x0002FFFF, 0, 0, 10 },
			Package () { 0x0003FFFF, 0, 0, 11 },
			Package () { 0x0004FFFF, 0, 0, 10 },
			Package () { 0x0005FFFF, 0, 0, 11 },
			Package () { 0x0006FFFF, 0, 0, 10 },
			Package () { 0x0007FFFF, 0, 0, 11 },
			Package () { 0x0008FFFF, 0, 0, 10 },
			Package () { 0x0009FFFF, 0, 0, 11 },
			Package () { 0x000AFFFF, 0, 0, 10 },
			Package () { 0x000BFFFF, 0, 0, 11 },
			Package () { 0x000CFFFF, 0, 0, 10 },
			Package () { 0x000DFFFF, 0, 0, 11 },
			Package () { 0x000EFFFF, 0, 0, 10 },
			Package () { 0x000FFFFF, 0, 0, 11 },
			Package () { 0x0010FFFF, 0, 0, 10 },
			Package () { 0x0011FFFF, 0, 0, 11 },
			Package () { 0x0012FFFF, 0, 0, 10 },
			Package () { 0x0013FFFF, 0, 0, 11 },
			Package () { 0x0014FFFF, 0, 0, 10 },
			Package () { 0x0015FFFF, 0, 0, 11 },
			Package () { 0x0016FFFF, 0, 0, 10 },
			Package () { 0x0017FFFF, 0, 0, 11 },
			Package () { 0x0018FFFF, 0, 0, 10 },
			Package () { 0x0019FFFF, 0, 0, 11 },
			Package () { 0x001AFFFF, 0, 0, 10 },
			Package () { 0x001BFFFF, 0, 0, 11 },
			Package () { 0x001CFFFF, 0, 0, 10 },
			Package () { 0x001DFFFF, 0, 0, 11 },
			Package () { 0x001EFFFF, 0, 0, 10 },
			Package () { 0x001FFFFF, 0, 0, 11 }
		})
	}

	/* what nobody else names: ECAM, local APICs, small ports, the PM block */
	Device (MBRD)
	{
		Name (_HID, EisaId ("PNP0C02"))
		Name (_UID, 1)
		Name (_CRS, ResourceTemplate ()
		{
			Memory32Fixed (ReadWrite, 0xE0000000, 0x00100000)
			Memory32Fixed (ReadWrite, 0xFEE00000, 0x00001000)
			IO (Decode16, 0x0061, 0x0061, 0x01, 0x01)
			IO (Decode16, 0x0080, 0x0080, 0x01, 0x01)
			IO (Decode16, 0x0092, 0x0092, 0x01, 0x01)
			IO (Decode16, 0x04D0, 0x04D0, 0x01, 0x02)
			IO (Decode16, 0x0600, 0x0600, 0x01, 0x0C)
		})
	}

	/* where a guest tells that it panicked; Linux knows the device by this name */
	Device (PEVT)
	{
		Name (_HID, "QEMU0001")
		Name (_CRS, ResourceTemplate ()
		{
			IO (Decode16, 0x0505, 0x0505, 0x01, 0x01)
		})
		Name (_STA, 0x0F)
	}

	Device (COM1)
	{
		Name (_HID, EisaId ("PNP0501"))
		Name (_UID, 1)
		Name (_CRS, ResourceTemplate ()
		{
			IO (Decode16, 0x03F8, 0x03F8, 0x01, 0x08)
			IRQNoFlags () { 4 }
		})
	}

	Device (RTC)
	{
		Name (_HID, EisaId ("PNP0B00"))
		Name (_CRS, ResourceTemplate ()
		{
			IO (Decode16, 0x0070, 0x0070, 0x01, 0x02)
			IRQNoFlags () { 8 }
		})
	}

	Device (PIT)
	{
		Name (_HID, EisaId ("PNP0100"))
		Name (_CRS, ResourceTemplate ()
		{
			IO (Decode16, 0x0040, 0x0040, 0x01, 0x04)
			IRQNoFlags () { 0 }
		})
	}

	Device (PIC)
	{
		Name (_HID, EisaId ("PNP0000"))
		Name (_CRS, ResourceTemplate ()
		{
			IO (Decode16, 0x0020, 0x0020, 0x01, 0x02)
			IO (Decode16, 0x00A0, 0x00A0, 0x01, 0x02)
			IRQNoFlags () { 2 }
		})
	}
	}
}
